// Compares the ranks' own times, summed over some steps.
#include "train/stragglers.h"

#include <algorithm>
#include <utility>

namespace streamo::train {
namespace {

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

std::optional<Straggler> Stragglers::add(std::span<const double> seconds) {
  if (seconds.size() < 2) return std::nullopt;
  sums_.resize(seconds.size());
  for (size_t rank = 0; rank < seconds.size(); ++rank) sums_[rank] += seconds[rank];
  if (++steps_ < kSteps) return std::nullopt;
  steps_ = 0;
  std::vector<double> others = std::exchange(sums_, {});
  const auto slowest = std::max_element(others.begin(), others.end());
  const auto rank = static_cast<int>(slowest - others.begin());
  const double own = *slowest;
  others.erase(slowest);
  const double ratio = own / std::max(median(std::move(others)), 1e-9);
  if (ratio < kRatio) {
    silent_ = 0;
    return std::nullopt;
  }
  if (silent_ > 0) {
    --silent_;
    return std::nullopt;
  }
  silent_ = kWindowsOfSilence;
  return Straggler{rank, ratio};
}

}  // namespace streamo::train
