// For tests that change how many threads an operator has: those after them find what was there.
#pragma once

#include <ATen/Parallel.h>

namespace streamo::test {

class KeepNumThreads {
 public:
  KeepNumThreads() = default;
  ~KeepNumThreads() { at::set_num_threads(before_); }
  KeepNumThreads(const KeepNumThreads&) = delete;
  KeepNumThreads& operator=(const KeepNumThreads&) = delete;

 private:
  int before_ = at::get_num_threads();
};

}  // namespace streamo::test
