// Memory made of pages that are moved, not copied: no fresh pages while there are spare ones.
//
// A C library keeps what was freed in its heap, where a larger piece finds no place between two that
// stay, or gives it back and has every page zeroed anew for the next piece. Here a freed block is
// kept until one of its size is asked for. If another size is, its pages are moved to where they are
// wanted (`mremap`): a process never has more pages than blocks were in use at once.

#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <unordered_map>
#include <vector>

class Pages {
 public:
  // Blocks are multiples of this: few moves, and little that stays empty in a block's last grain.
  static constexpr size_t kGrain = size_t{256} << 10;

  struct Counts {
    int64_t in_use, spare;   // bytes
    int64_t asked, again;    // blocks asked for, and those given again as they were
    int64_t moves, fresh;    // runs of pages that were moved; bytes that were new
    int64_t runs;            // of pages, in all blocks
  };

  explicit Pages(size_t most_runs) : most_runs_(most_runs) {}

  // At least `bytes`, with whatever was there before, or null: the system has no more.
  void* get(size_t bytes);
  // Whether it was a block of this pool, which is spare now.
  bool put(void* block);
  // Spare blocks go back to the system.
  void give_back();
  Counts counts();
  // Held over a fork, so that no child begins in the middle of a change.
  std::mutex& guard() { return guard_; }

 private:
  struct Run {               // neighbouring pages that the system moves in one call
    uint8_t* at;
    size_t bytes;
  };
  struct Block {
    uint8_t* at;
    size_t bytes;
    std::vector<Run> runs;   // in order, without gaps
  };

  bool take_spare(size_t bytes, Block& block);
  bool fill(Block& block);
  bool move_from_oldest(Block& block, size_t& done);
  void drop(Block& block, size_t& done);
  void release_oldest();

  const size_t most_runs_;   // the system maps so many pieces a process and no more
  std::mutex guard_;
  std::unordered_map<void*, Block> used_;
  std::list<Block> spare_;   // the oldest first
  size_t runs_ = 0;
  Counts counts_{};
};
