#include "pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace {

constexpr int kPrivate = MAP_PRIVATE | MAP_ANONYMOUS;

// Addresses without memory behind them.
uint8_t* addresses(size_t bytes) {
  void* const at = mmap(nullptr, bytes, PROT_NONE, kPrivate | MAP_NORESERVE, -1, 0);
  return at == MAP_FAILED ? nullptr : static_cast<uint8_t*>(at);
}

bool fresh_pages(uint8_t* at, size_t bytes) {
  const int access = PROT_READ | PROT_WRITE;
  return mmap(at, bytes, access, kPrivate | MAP_FIXED, -1, 0) != MAP_FAILED;
}

bool move_pages(uint8_t* from, uint8_t* to, size_t bytes) {
  return mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) != MAP_FAILED;
}

}  // namespace

void* Pages::get(size_t bytes) {
  const std::lock_guard<std::mutex> held(guard_);
  if (bytes > SIZE_MAX / 2) return nullptr;
  bytes = std::max<size_t>((bytes + kGrain - 1) / kGrain, 1) * kGrain;
  ++counts_.asked;
  Block block{nullptr, bytes, {}};
  if (!take_spare(bytes, block) && !fill(block)) return nullptr;
  counts_.in_use += bytes;
  void* const at = block.at;
  used_.emplace(at, std::move(block));
  return at;
}

bool Pages::put(void* block) {
  const std::lock_guard<std::mutex> held(guard_);
  const auto found = used_.find(block);
  if (found == used_.end()) return false;
  counts_.in_use -= found->second.bytes;
  counts_.spare += found->second.bytes;
  spare_.push_back(std::move(found->second));
  used_.erase(found);
  return true;
}

void Pages::give_back() {
  const std::lock_guard<std::mutex> held(guard_);
  while (!spare_.empty()) release_oldest();
}

Pages::Counts Pages::counts() {
  const std::lock_guard<std::mutex> held(guard_);
  counts_.runs = static_cast<int64_t>(runs_);
  return counts_;
}

// The newest block of that size, which the processor's caches may still know.
bool Pages::take_spare(size_t bytes, Block& block) {
  const auto found = std::find_if(spare_.rbegin(), spare_.rend(),
                                  [&](const Block& each) { return each.bytes == bytes; });
  if (found == spare_.rend()) return false;
  block = std::move(*found);
  spare_.erase(std::next(found).base());
  counts_.spare -= bytes;
  ++counts_.again;
  return true;
}

// Pages of spare blocks as far as they go, fresh ones for the rest.
bool Pages::fill(Block& block) {
  block.at = addresses(block.bytes);
  if (block.at == nullptr) return false;
  size_t done = 0;
  bool moved = true;
  while (moved && done < block.bytes && !spare_.empty() && runs_ < most_runs_)
    moved = move_from_oldest(block, done);
  if (!moved) drop(block, done);
  // Too many runs to move more of them: whole blocks go, as many bytes as come.
  for (int64_t left = block.bytes - done; left > 0 && !spare_.empty();) {
    left -= spare_.front().bytes;
    release_oldest();
  }
  if (done == block.bytes) return true;
  if (block.at == nullptr) block.at = addresses(block.bytes);
  if (block.at == nullptr || !fresh_pages(block.at + done, block.bytes - done)) {
    drop(block, done);
    return false;
  }
  counts_.fresh += block.bytes - done;
  block.runs.push_back({block.at + done, block.bytes - done});
  ++runs_;
  return true;
}

// The last pages of the oldest spare block become the block's next ones, if the system will.
bool Pages::move_from_oldest(Block& block, size_t& done) {
  Block& oldest = spare_.front();
  Run& last = oldest.runs.back();
  const size_t bytes = std::min(last.bytes, block.bytes - done);
  if (!move_pages(last.at + last.bytes - bytes, block.at + done, bytes)) return false;
  ++counts_.moves;
  counts_.spare -= bytes;
  block.runs.push_back({block.at + done, bytes});
  ++runs_;
  done += bytes;
  oldest.bytes -= bytes;
  last.bytes -= bytes;
  if (last.bytes == 0) {
    oldest.runs.pop_back();
    --runs_;
  }
  if (oldest.bytes == 0) spare_.pop_front();
  return true;
}

// What the block has of pages goes. Addresses past them may be somebody else's since a call failed.
void Pages::drop(Block& block, size_t& done) {
  if (done > 0) munmap(block.at, done);
  runs_ -= block.runs.size();
  block.runs.clear();
  block.at = nullptr;
  done = 0;
}

void Pages::release_oldest() {
  const Block& oldest = spare_.front();
  munmap(oldest.at, oldest.bytes);
  counts_.spare -= oldest.bytes;
  runs_ -= oldest.runs.size();
  spare_.pop_front();
}
