// How much memory the tensors take that one thread has made, wherever they are released: exactly,
// from LibTorch's CPU allocator.
#pragma once

#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace streamo::test {

class AllocationWatch {
 public:
  AllocationWatch() {
    static Allocator allocator;  // installed once: tensors may outlive this object
    current() = counter_;
  }
  ~AllocationWatch() { current().reset(); }
  AllocationWatch(const AllocationWatch&) = delete;
  AllocationWatch& operator=(const AllocationWatch&) = delete;

  int64_t bytes() const { return counter_->get().now; }
  int64_t peak() const { return counter_->get().peak; }
  void restart_peak() { counter_->restart_peak(); }

 private:
  struct Figures {
    int64_t now = 0, peak = 0;
  };
  class Counter {
   public:
    void add(int64_t bytes) {
      const std::lock_guard lock(mutex_);
      figures_.now += bytes;
      figures_.peak = std::max(figures_.peak, figures_.now);
    }
    void restart_peak() {
      const std::lock_guard lock(mutex_);
      figures_.peak = figures_.now;
    }
    Figures get() const {
      const std::lock_guard lock(mutex_);
      return figures_;
    }

   private:
    mutable std::mutex mutex_;
    Figures figures_;
  };
  static std::shared_ptr<Counter>& current() {
    static thread_local std::shared_ptr<Counter> counter;
    return counter;
  }

  // LibTorch wants the context of an allocation to be its address: what else is known of it is
  // here.
  struct Owner {
    std::shared_ptr<Counter> counter;
    int64_t bytes = 0;
  };
  class Allocator final : public c10::Allocator {
   public:
    Allocator() {
      inner() = c10::GetCPUAllocator();
      c10::SetCPUAllocator(this, /*priority=*/255);
    }
    c10::DataPtr allocate(size_t bytes) override {
      c10::DataPtr data = inner()->allocate(bytes);
      void* const address = data.release_context();
      if (address != nullptr && current()) {
        current()->add(static_cast<int64_t>(bytes));
        const std::lock_guard lock(mutex());
        owners()[address] = {current(), static_cast<int64_t>(bytes)};
      }
      return {address, address, &release, c10::Device(c10::DeviceType::CPU)};
    }
    c10::DeleterFnPtr raw_deleter() const override { return &release; }
    void copy_data(void* to, const void* from, size_t bytes) const override {
      default_copy_data(to, from, bytes);
    }

   private:
    static c10::Allocator*& inner() {
      static c10::Allocator* allocator = nullptr;
      return allocator;
    }
    static std::mutex& mutex() {
      static std::mutex mutex;
      return mutex;
    }
    static std::unordered_map<void*, Owner>& owners() {
      static std::unordered_map<void*, Owner> owners;
      return owners;
    }
    static void release(void* address) {
      Owner owner;
      {
        const std::lock_guard lock(mutex());
        if (const auto found = owners().find(address); found != owners().end()) {
          owner = found->second;
          owners().erase(found);
        }
      }
      if (owner.counter) owner.counter->add(-owner.bytes);
      inner()->raw_deleter()(address);
    }
  };

  std::shared_ptr<Counter> counter_ = std::make_shared<Counter>();
};

}  // namespace streamo::test
