// Rates over the logging interval; the ETA is over the whole run. Time spent outside steps (saving,
// evaluating) is taken out of both.
#include "metrics/throughput.h"

#include <sys/resource.h>

#include <algorithm>
#include <vector>

#include "core/log.h"

namespace streamo::metrics {
namespace {

constexpr size_t kStepsOfMedian = 101;

int64_t peak_memory_bytes() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace

Throughput::Throughput(double fps)
    : fps_(fps),
      interval_started_(core::monotonic_seconds()),
      last_step_ended_(interval_started_) {}

void Throughput::add(int64_t tokens, int64_t frames, double wait_seconds) {
  const double now = core::monotonic_seconds();
  busy_seconds_ += now - last_step_ended_;
  last_steps_.push_back(now - last_step_ended_);
  if (last_steps_.size() > kStepsOfMedian) last_steps_.pop_front();
  last_step_ended_ = now;
  ++steps_;
  tokens_ += tokens;
  frames_ += frames;
  wait_seconds_ += wait_seconds;
}

double Throughput::median_step_seconds() const {
  if (last_steps_.empty()) return 0;
  std::vector<double> steps(last_steps_.begin(), last_steps_.end());
  const auto middle = steps.begin() + static_cast<std::ptrdiff_t>(steps.size() / 2);
  std::nth_element(steps.begin(), middle, steps.end());
  return *middle;
}

void Throughput::report(StepMetrics& metrics) {
  const double seconds = std::max(last_step_ended_ - interval_started_, 1e-9);
  metrics.tokens_per_second = static_cast<double>(tokens_) / seconds;
  metrics.video_seconds_per_second = static_cast<double>(frames_) / fps_ / seconds;
  metrics.data_wait = std::min(wait_seconds_ / seconds, 1.0);
  metrics.peak_memory_bytes = peak_memory_bytes();
  metrics.eta_seconds = busy_seconds_ / static_cast<double>(std::max<int64_t>(steps_, 1)) *
                        static_cast<double>(metrics.total_steps - metrics.step);
  tokens_ = frames_ = 0;
  wait_seconds_ = 0;
  interval_started_ = last_step_ended_;
}

void Throughput::resume_clock() {
  const double now = core::monotonic_seconds();
  interval_started_ += now - last_step_ended_;
  last_step_ended_ = now;
}

}  // namespace streamo::metrics
