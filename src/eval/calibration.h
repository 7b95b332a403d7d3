// Do the probabilities of the states mean what they say?
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "eval/metrics.h"

namespace streamo::eval {

// Sums over predictions (probability, did it come true) in equal bins of the probability.
class CalibrationSums {
 public:
  void add(double probability, bool came_true);
  std::array<CalibrationBin, kCalibrationBins> bins() const;
  std::optional<double> expected_calibration_error() const;

 private:
  struct Sums {
    int64_t count = 0, hits = 0;
    double probability = 0;
  };
  std::array<Sums, kCalibrationBins> sums_{};
};

// Sums for Calibration: of the most probable state, and of each state by itself.
class CalibrationCounter {
 public:
  void add(const TurnOutcome& turn);  // ignored when it has no probabilities
  Calibration result() const;

 private:
  CalibrationSums top_;
  std::array<CalibrationSums, text::kNumStates> states_;
};

}  // namespace streamo::eval
