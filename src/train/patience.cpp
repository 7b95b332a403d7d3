// The limits after which a rank counts as hanging.
#include "train/patience.h"

#include <algorithm>

namespace streamo::train {
namespace {

using std::chrono::seconds;

constexpr seconds kLeastInStep{30}, kLeastOutside{300};
constexpr double kMedianSteps = 5, kFormerTimes = 3;
constexpr seconds kUnknownStep{600};  // a first one warms up, and allocates
constexpr seconds kUntilGivenUp{2};   // from a file's limit until the sample counts as bad

Timeouts::Duration to_milliseconds(double seconds) {
  return Timeouts::Duration(static_cast<int64_t>(1000 * seconds));
}

}  // namespace

Timeouts::Timeouts(double timeout, double decode_timeout)
    : timeout_(to_milliseconds(timeout)), decode_(to_milliseconds(decode_timeout)) {}

Timeouts::Duration Timeouts::in_step(double median_step_seconds) const {
  if (timeout_.count() > 0) return timeout_;
  if (median_step_seconds == 0) return kUnknownStep;
  return std::max<Duration>(kLeastInStep, to_milliseconds(kMedianSteps * median_step_seconds));
}

Timeouts::Duration Timeouts::for_data(Duration in_step) const {
  return in_step + decode_ + kUntilGivenUp;
}

Timeouts::Duration Timeouts::outside(const std::string& work) const {
  if (timeout_.count() > 0) return timeout_;
  const auto former = longest_.find(work);
  const double seconds = former == longest_.end() ? 0 : former->second;
  return std::max<Duration>(kLeastOutside, to_milliseconds(kFormerTimes * seconds));
}

void Timeouts::took(const std::string& work, double seconds) {
  longest_[work] = std::max(longest_[work], seconds);
}

Timeouts::Duration Timeouts::for_silence() const {
  return timeout_.count() > 0 ? timeout_ : Duration(kLeastInStep);
}

}  // namespace streamo::train
