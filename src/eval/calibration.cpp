// Expected calibration error (Guo et al., arXiv 1706.04599) with ten equal bins: of the top state,
// and of each state on its own.
#include "eval/calibration.h"

#include <algorithm>
#include <cmath>

namespace streamo::eval {

void CalibrationSums::add(double probability, bool came_true) {
  const double place = std::ceil(probability * kCalibrationBins) - 1;  // (b/10, (b+1)/10]
  Sums& sums = sums_[static_cast<size_t>(std::clamp(place, 0.0, kCalibrationBins - 1.0))];
  ++sums.count;
  sums.hits += came_true ? 1 : 0;
  sums.probability += probability;
}

std::array<CalibrationBin, kCalibrationBins> CalibrationSums::bins() const {
  std::array<CalibrationBin, kCalibrationBins> bins{};
  for (size_t i = 0; i < bins.size(); ++i) {
    if (sums_[i].count == 0) continue;
    const auto count = static_cast<double>(sums_[i].count);
    bins[i] = {sums_[i].count, sums_[i].probability / count,
               static_cast<double>(sums_[i].hits) / count};
  }
  return bins;
}

std::optional<double> CalibrationSums::expected_calibration_error() const {
  double total = 0, error = 0;
  for (const CalibrationBin& bin : bins()) {
    const auto count = static_cast<double>(bin.turns);
    total += count;
    error += count * std::abs(bin.accuracy - bin.confidence);
  }
  return total > 0 ? std::optional(error / total) : std::nullopt;
}

void CalibrationCounter::add(const TurnOutcome& turn) {
  const auto& probabilities = turn.probabilities;
  const auto top = std::max_element(probabilities.begin(), probabilities.end());
  if (*top <= 0) return;
  const auto truth = static_cast<size_t>(turn.truth);
  top_.add(*top, truth == static_cast<size_t>(top - probabilities.begin()));
  for (size_t state = 0; state < probabilities.size(); ++state) {
    states_[state].add(probabilities[state], truth == state);
  }
}

Calibration CalibrationCounter::result() const {
  Calibration calibration{top_.bins(), top_.expected_calibration_error(), {}};
  for (size_t state = 0; state < states_.size(); ++state) {
    calibration.state_ece[state] = states_[state].expected_calibration_error();
  }
  return calibration;
}

}  // namespace streamo::eval
