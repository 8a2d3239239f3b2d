// Memory for packed operands is the caller's: it counts with tensors and serves them afterwards.
//
// A kernel first takes all that it needs, and then looks whether it was only asked how much that
// is: one and the same code tells the size and lays the pieces out.

#pragma once

#include <omp.h>

#include <cstdint>

// Operands are packed in groups of at most so many bytes, or one piece if that is larger.
constexpr int64_t kScratchBytes = 24 << 20;

// Hands out pieces one after the other, each on the edge of a cache line; `memory` has to begin on
// one. What a piece holds at first is left over from others.
class Scratch {
 public:
  explicit Scratch(uint8_t* memory) : memory_(memory) {}

  // Null if there is no memory.
  template <typename T>
  T* take(int64_t count) {
    uint8_t* const piece = counts_only() ? nullptr : memory_ + bytes_;
    bytes_ += (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
    return reinterpret_cast<T*>(piece);
  }

  bool counts_only() const { return memory_ == nullptr; }
  int64_t bytes() const { return bytes_; }  // taken so far

 private:
  uint8_t* memory_;
  int64_t bytes_ = 0;
};

// The same pieces for every thread that a kernel may have: `take` takes one thread's.
template <typename Take>
class PerThread {
 public:
  PerThread(Scratch& scratch, Take take) : take_(take) {
    Scratch one(nullptr);
    take_(one);
    bytes_ = one.bytes();
    memory_ = scratch.take<uint8_t>(bytes_ * omp_get_max_threads());
  }

  // What belongs to the thread that calls.
  auto own() const {
    Scratch pieces(memory_ + bytes_ * omp_get_thread_num());
    return take_(pieces);
  }

 private:
  Take take_;
  int64_t bytes_;
  uint8_t* memory_;
};

// How many of `count` pieces of `bytes` make a group; groups are alike.
inline int64_t pieces_at_once(int64_t count, int64_t bytes) {
  const int64_t most = kScratchBytes / bytes > 1 ? kScratchBytes / bytes : 1;
  const int64_t groups = (count + most - 1) / most;
  return groups > 0 ? (count + groups - 1) / groups : 1;
}
