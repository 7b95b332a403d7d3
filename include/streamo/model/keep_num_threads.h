// For who changes how many threads an operator has that this thread calls: what comes after finds
// what was there. Results depend on that number to the last bit.
#pragma once

#include <ATen/Parallel.h>

namespace streamo::model {

class KeepNumThreads {
 public:
  KeepNumThreads() = default;
  ~KeepNumThreads() { at::set_num_threads(before_); }
  KeepNumThreads(const KeepNumThreads&) = delete;
  KeepNumThreads& operator=(const KeepNumThreads&) = delete;

  int before() const { return before_; }

 private:
  int before_ = at::get_num_threads();
};

}  // namespace streamo::model
