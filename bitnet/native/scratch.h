// Memory for packed operands: kept from call to call, since fresh pages cost more than packing does.
//
// It stands outside of the heap, where a large piece that stays would keep tensors apart. One thread
// runs one kernel at a time, so all kernels of a library share it.

#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <new>

// Operands are packed in groups of at most so many bytes, or one piece if that is larger.
constexpr int64_t kScratchBytes = 24 << 20;

class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { release(); }

  // At least `bytes`, on the edge of a page; what was there before is lost.
  uint8_t* get(int64_t bytes) {
    if (bytes <= size_) return data_;
    release();
    void* const got =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (got == MAP_FAILED) throw std::bad_alloc();
    data_ = static_cast<uint8_t*>(got);
    size_ = bytes;
    return data_;
  }

 private:
  void release() {
    if (data_ != nullptr) munmap(data_, size_);
    data_ = nullptr;
    size_ = 0;
  }

  uint8_t* data_ = nullptr;
  int64_t size_ = 0;
};

inline thread_local Scratch scratch;

// How many of `count` pieces of `bytes` make a group; groups are alike.
inline int64_t pieces_at_once(int64_t count, int64_t bytes) {
  const int64_t most = kScratchBytes / bytes > 1 ? kScratchBytes / bytes : 1;
  const int64_t groups = (count + most - 1) / most;
  return groups > 0 ? (count + groups - 1) / groups : 1;
}
