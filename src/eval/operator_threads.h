// Shares the processor cores between samples that are played side by side.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstddef>
#include <thread>

namespace streamo::eval {

// Samples run side by side; the cores left over go to the operators inside. A small model is bound
// by the overhead of each operator, which more threads an operator only raise.
class OperatorThreads {
 public:
  explicit OperatorThreads(int workers)
      : before_(at::get_num_threads()), each_(std::max(1, before_ / workers)) {}
  ~OperatorThreads() { at::set_num_threads(before_); }
  OperatorThreads(const OperatorThreads&) = delete;
  OperatorThreads& operator=(const OperatorThreads&) = delete;

  void apply_to_this_thread() const { at::set_num_threads(each_); }

 private:
  int before_, each_;
};

// `asked`: 0 is one a core. Never more than there are samples.
inline int worker_count(int asked, size_t samples) {
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  return std::clamp(asked > 0 ? asked : cores, 1, static_cast<int>(std::max<size_t>(samples, 1)));
}

}  // namespace streamo::eval
