// Names the rank that keeps the others waiting, step after step.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace streamo::train {

struct Straggler {
  int rank;
  double ratio;  // its time over the median of the others'
};

class Stragglers {
 public:
  static constexpr int64_t kSteps = 10;            // looked at together: single steps differ
  static constexpr double kRatio = 1.25;           // from which on it is named
  static constexpr int64_t kWindowsOfSilence = 9;  // until it is named again

  // The seconds each rank needed for its part of a step.
  std::optional<Straggler> add(std::span<const double> seconds);

 private:
  std::vector<double> sums_;
  int64_t steps_ = 0, silent_ = 0;
};

}  // namespace streamo::train
