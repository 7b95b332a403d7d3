// Closed forms in the step number, so resuming needs no scheduler state.
#include "optim/lr_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/suggest.h"
#include "streamo/core/error.h"

namespace streamo::optim {

LrSchedule::LrSchedule(const std::string& kind, double lr, double warmup_ratio, int64_t total_steps)
    : lr_(lr),
      total_steps_(total_steps),
      warmup_steps_(total_steps == 1 ? 0
                                     : static_cast<int64_t>(std::ceil(
                                           warmup_ratio * static_cast<double>(total_steps)))) {
  if (kind == "cosine") {
    kind_ = Kind::kCosine;
  } else if (kind == "linear") {
    kind_ = Kind::kLinear;
  } else if (kind == "constant") {
    kind_ = Kind::kConstant;
  } else {
    throw core::Error(core::ErrorKind::kConfig, "unknown schedule \"" + kind + "\"",
                      "optim.schedule", core::suggestion(kind, {"cosine", "linear", "constant"}));
  }
}

double LrSchedule::lr(int64_t step) const {
  if (step < warmup_steps_) {
    return lr_ * static_cast<double>(step) / static_cast<double>(warmup_steps_);
  }
  if (kind_ == Kind::kConstant) return lr_;
  const int64_t rest = std::max<int64_t>(total_steps_ - warmup_steps_, 1);
  const double progress =
      std::min(static_cast<double>(step - warmup_steps_) / static_cast<double>(rest), 1.0);
  if (kind_ == Kind::kLinear) return lr_ * (1.0 - progress);
  return lr_ * 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
}

}  // namespace streamo::optim
