// The pool as torch's allocator for CPUs.
//
// Small tensors stay with torch's own: many, short-lived, and no burden to a heap. Both kinds are
// reported to torch's profiler as its own allocator does, so that what it counts stays the same.

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <fstream>

#include "pages.h"

namespace {

constexpr size_t kLarge = Pages::kGrain;

// Half of the pieces that a process may map; what else is mapped needs some as well.
size_t most_runs() {
  size_t most = 65530;
  std::ifstream("/proc/sys/vm/max_map_count") >> most;
  return most / 2;
}

// Never destroyed: tensors may live longer than anything that ends with the process.
Pages& pages() {
  static Pages* const made = new Pages(most_runs());
  return *made;
}

std::atomic<bool> in_use{false};

void release(void* at) {
  if (at == nullptr) return;
  c10::profiledCPUMemoryReporter().Delete(at);
  const bool whole_page = reinterpret_cast<uintptr_t>(at) % 4096 == 0;
  if (!(whole_page && pages().put(at))) return c10::free_cpu(at);
  if (!in_use) pages().give_back();
}

class PageAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* const at = bytes < kLarge ? c10::alloc_cpu(bytes) : pages().get(bytes);
    if (at == nullptr && bytes >= kLarge) {
      c10::profiledCPUMemoryReporter().OutOfMemory(bytes);
      TORCH_CHECK(false, "not enough memory: tried to allocate ", bytes, " bytes on the CPU");
    }
    c10::profiledCPUMemoryReporter().New(at, bytes);
    return {at, at, &release, c10::Device(c10::DeviceType::CPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &release; }

  void copy_data(void* to, const void* from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }
};

// As long-lived as the pool.
PageAllocator& allocator() {
  static PageAllocator* const made = new PageAllocator;
  return *made;
}

void hold() { pages().guard().lock(); }
void let_go() { pages().guard().unlock(); }

}  // namespace

extern "C" void bitnet_use_pages() {
  static const int watched = pthread_atfork(hold, let_go, let_go);
  (void)watched;
  in_use = true;
  c10::SetCPUAllocator(&allocator());
}

// Tensors that are there stay where they are.
extern "C" void bitnet_use_system() {
  in_use = false;
  c10::SetCPUAllocator(c10::GetDefaultCPUAllocator());
  pages().give_back();
}

extern "C" void bitnet_page_counts(Pages::Counts* counts) { *counts = pages().counts(); }

// It compiles where pages can be moved, and needs nothing else of a machine.
extern "C" int bitnet_moves_pages() { return 1; }
