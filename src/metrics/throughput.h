// Rates over the steps since the last logged one.
#pragma once

#include <cstdint>
#include <deque>

#include "metrics/metrics_log.h"

namespace streamo::metrics {

class Throughput {
 public:
  explicit Throughput(double fps);  // frames a second of video

  // After each step: its tokens, pictures, and how long it waited for them.
  void add(int64_t tokens, int64_t frames, double wait_seconds);
  double median_step_seconds() const;  // of the last ones; 0 before the first
  // Fills in rates, waiting share, peak memory and remaining time, and begins the next interval.
  void report(StepMetrics& metrics);
  // Leaves out the time since the last step (an evaluation, a save).
  void resume_clock();

 private:
  double fps_;
  double interval_started_, last_step_ended_;
  double busy_seconds_ = 0;  // of all steps so far
  std::deque<double> last_steps_;
  int64_t steps_ = 0;
  int64_t tokens_ = 0, frames_ = 0;  // of the interval
  double wait_seconds_ = 0;
};

}  // namespace streamo::metrics
