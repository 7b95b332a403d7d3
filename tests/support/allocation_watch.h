// How much memory tensors take on the CPU, exactly: LibTorch's allocator tells of each allocation
// of the thread that holds this object.
#pragma once

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>

namespace streamo::test {

class AllocationWatch {
 public:
  AllocationWatch() : counter_(std::make_shared<Counter>()) {}

  int64_t bytes() const { return counter_->now; }
  int64_t peak() const { return counter_->peak; }
  void restart_peak() { counter_->peak = counter_->now.load(); }

 private:
  struct Counter : c10::MemoryReportingInfoBase {
    void reportMemoryUsage(void*, int64_t size, size_t, size_t, c10::Device) override {
      now += size;
      peak = std::max(peak.load(), now.load());
    }
    bool memoryProfilingEnabled() const override { return true; }
    std::atomic<int64_t> now{0}, peak{0};
  };

  std::shared_ptr<Counter> counter_;
  c10::DebugInfoGuard guard_{c10::DebugInfoKind::PROFILER_STATE, counter_};
};

}  // namespace streamo::test
