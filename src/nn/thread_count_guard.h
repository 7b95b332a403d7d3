// Restores the number of threads an operator may use (at::set_num_threads) on destruction. Results
// depend on that number to the last bit.
#pragma once

#include <ATen/Parallel.h>

namespace streamo::nn {

class ThreadCountGuard {
 public:
  ThreadCountGuard() = default;
  ~ThreadCountGuard() { at::set_num_threads(before_); }
  ThreadCountGuard(const ThreadCountGuard&) = delete;
  ThreadCountGuard& operator=(const ThreadCountGuard&) = delete;

  int before() const { return before_; }

 private:
  int before_ = at::get_num_threads();
};

}  // namespace streamo::nn
