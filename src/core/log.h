// Messages for people, on stderr. Numbers for machines go to metrics.jsonl, results to stdout.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include "core/printable.h"

namespace streamo::core {

bool stdout_is_terminal();
// Of the terminal on stdout; `otherwise` where it does not say, or there is none.
int terminal_columns(int otherwise);

// `level` is printed before the message; "" is news. Control characters in it are written out
// (printable.h), and what cannot be written is left out: no run ends for want of a terminal.
void log_line(const char* level, const std::string& message);

// Of a run of several processes: news is told by rank 0 alone, and warnings and errors of all begin
// with their rank.
void set_log_rank(int rank);

template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_line("", fmt::format(format, std::forward<Args>(args)...));
}

// Your result may differ from what you asked for. On one line, whatever stands in a path.
template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_line("warning: ", printable_line(fmt::format(format, std::forward<Args>(args)...)));
}

// How far something is, in one line: redrawn where it stands on a terminal, a line anew elsewhere.
// Shown as it is, with codes that steer the terminal.
class LiveLine {
 public:
  explicit LiveLine(FILE* stream);
  ~LiveLine() { finish(); }
  LiveLine(const LiveLine&) = delete;
  LiveLine& operator=(const LiveLine&) = delete;

  bool is_terminal() const { return is_terminal_; }
  // Whether it is time to show how far it is: every 0.2 s on a terminal, every 10 s elsewhere.
  bool is_due();
  void show(const std::string& line);
  // Leaves the last line standing, so that what is printed next starts on its own.
  void finish();

 private:
  FILE* stream_;
  bool is_terminal_, is_open_ = false;
  double last_due_;
};

// Counts up to `total` on stderr, with rate, remaining time and, on a terminal, a bar.
class ProgressBar {
 public:
  ProgressBar(const std::string& label, int64_t total);
  ~ProgressBar();
  void advance(int64_t count = 1);  // call from one thread

 private:
  std::string label_;
  int64_t total_, done_ = 0;
  double started_;
  LiveLine line_{stderr};
  std::string text() const;
};

double monotonic_seconds();

}  // namespace streamo::core
