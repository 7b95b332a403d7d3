#include "streamo/core/log.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>

namespace streamo::core {
namespace {

std::mutex& output_mutex() {
  static std::mutex mutex;
  return mutex;
}

std::atomic<int>& log_rank() {
  static std::atomic<int> rank{-1};  // alone
  return rank;
}

}  // namespace

bool stderr_is_terminal() {
  return ::isatty(STDERR_FILENO) == 1;
}
bool stdout_is_terminal() {
  return ::isatty(STDOUT_FILENO) == 1;
}

int terminal_columns(int otherwise) {
  winsize size = {};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                           : otherwise;
}

double monotonic_seconds() {
  using Clock = std::chrono::steady_clock;
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

void set_log_rank(int rank) {
  log_rank() = rank;
}

void log_line(const char* level, const std::string& message) {
  const int rank = log_rank();
  if (rank > 0 && *level == '\0') return;
  const std::string from = rank < 0 || *level == '\0' ? "" : fmt::format("rank {}: ", rank);
  const std::lock_guard lock(output_mutex());
  // A live line (progress bar, training line) may be on the screen: start on a clean one.
  fmt::print(stderr, "{}{}{}{}\n", stderr_is_terminal() ? "\r\x1b[K" : "", from, level, message);
}

ProgressBar::ProgressBar(std::string label, int64_t total)
    : label_(std::move(label)),
      total_(std::max<int64_t>(total, 1)),
      started_(monotonic_seconds()),
      last_drawn_(started_) {}

ProgressBar::~ProgressBar() {
  if (stderr_is_terminal() && done_ > 0) {
    draw();
    fmt::print(stderr, "\n");
  }
}

void ProgressBar::advance(int64_t count) {
  done_ += count;
  const double now = monotonic_seconds();
  if (stderr_is_terminal()) {
    if (now - last_drawn_ < 0.1) return;
    last_drawn_ = now;
    draw();
    return;
  }
  const int tenth = static_cast<int>(10 * done_ / total_);
  if (tenth > last_tenth_ && (now - last_drawn_ >= 1 || done_ >= total_)) {
    last_drawn_ = now;
    last_tenth_ = tenth;
    const double elapsed = now - started_;
    log_info("{} {}/{} ({:.1f} s)", label_, done_, total_, elapsed);
  }
}

void ProgressBar::draw() {
  constexpr int kWidth = 30;
  const double elapsed = std::max(monotonic_seconds() - started_, 1e-3);
  const double rate = static_cast<double>(done_) / elapsed;
  const int filled = static_cast<int>(kWidth * std::min(done_, total_) / total_);
  const std::lock_guard lock(output_mutex());
  fmt::print(stderr, "\r\x1b[K{} [{:#<{}}{:.<{}}] {}/{}  {:.1f}/s  {:.0f} s left", label_, "",
             filled, "", kWidth - filled, done_, total_, rate,
             static_cast<double>(std::max<int64_t>(total_ - done_, 0)) / std::max(rate, 1e-9));
}

}  // namespace streamo::core
