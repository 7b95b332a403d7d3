// A training step as a person sees it.
#pragma once

#include <string>

#include "core/log.h"
#include "metrics/metrics_log.h"

namespace streamo::metrics {

// step   120/900 | loss 0.8312 (state 0.41 text 1.02) | recall S .99 B .93 R .88 | grad 0.92 |
// lr 8.7e-04 | ... S silence, B standby, R response; a state without targets shows "-".
std::string plain_line(const StepMetrics& metrics);

// The same in at most `columns` characters with a progress bar, coloured. The least important parts
// go first.
std::string live_line(const StepMetrics& metrics, int columns);

std::string format_duration(double seconds);  // "42 s", "5 m 12 s", "5 h 12 m", "2 d 3 h"
std::string format_bytes(int64_t bytes);      // "512 MiB", "61.2 GiB"

// Shows steps on stdout: one line that redraws itself on a terminal, a line a call elsewhere.
class TerminalDisplay {
 public:
  void show(const StepMetrics& metrics);
  // Called before other output.
  void finish_line() { line_.finish(); }

 private:
  core::LiveLine line_{stdout};
};

}  // namespace streamo::metrics
