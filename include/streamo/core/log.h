// Messages for people, on stderr. Numbers for machines go to metrics.jsonl, results to stdout.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

namespace streamo::core {

// True when stderr/stdout is a terminal that can redraw a line.
bool stderr_is_terminal();
bool stdout_is_terminal();
// Of the terminal on stdout; `otherwise` where it does not say, or there is none.
int terminal_columns(int otherwise);

// `level` is printed before the message; "" is news.
void log_line(const char* level, const std::string& message);

// Of a run of several processes: news is told by rank 0 alone, and warnings and errors of all begin
// with their rank.
void set_log_rank(int rank);

template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_line("", fmt::format(format, std::forward<Args>(args)...));
}

// Your result may differ from what you asked for.
template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_line("warning: ", fmt::format(format, std::forward<Args>(args)...));
}

// A bar with rate and remaining time that redraws on a terminal and prints a line every 10 %
// elsewhere.
class ProgressBar {
 public:
  ProgressBar(std::string label, int64_t total);
  ~ProgressBar();
  void advance(int64_t count = 1);  // call from one thread

 private:
  std::string label_;
  int64_t total_, done_ = 0;
  double started_, last_drawn_;
  int last_tenth_ = 0;
  void draw();
};

double monotonic_seconds();

}  // namespace streamo::core
