// The learning rate of each step: linear warm-up, then cosine, linear or constant.
//
// The values are those of Hugging Face's schedules of the same names (half a cosine period), so
// that a run here and there sees the same rates: with W = ceil(warmup_ratio * total) warm-up steps
// and s counted from 0,
//   s < W:  lr * s / W            (the first step of a run with warm-up has rate 0)
// (a run of one step has no warm-up, or it would learn nothing)
//   then, with q = (s - W) / (total - W):
//   cosine: lr * (1 + cos(pi q)) / 2     linear: lr * (1 - q)     constant: lr
#pragma once

#include <cstdint>
#include <string>

namespace streamo::optim {

class LrSchedule {
 public:
  // `kind`: cosine | linear | constant. Throws core::Error{kConfig} for another.
  LrSchedule(const std::string& kind, double lr, double warmup_ratio, int64_t total_steps);

  double lr(int64_t step) const;  // 0-based; 0 past the end (constant: lr)
  int64_t warmup_steps() const { return warmup_steps_; }

 private:
  enum class Kind { kCosine, kLinear, kConstant };
  Kind kind_;
  double lr_;
  int64_t total_steps_, warmup_steps_;
};

}  // namespace streamo::optim
