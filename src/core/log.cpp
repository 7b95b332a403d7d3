// Messages and redrawn status lines on stderr. A stderr that cannot be written is ignored: it must
// never end a run.
#include "core/log.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>

#include "core/print.h"
#include "core/printable.h"
#include "core/url.h"

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

// Goes back to where the line began and empties it.
constexpr const char* kClearLine = "\r\x1b[K";

bool is_terminal(FILE* stream) {
  return ::isatty(::fileno(stream)) == 1;
}

}  // namespace

bool stdout_is_terminal() {
  return is_terminal(stdout);
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
  // A live line may be on the screen: start on a clean one.
  show(stderr, fmt::format("{}{}{}{}\n", is_terminal(stderr) ? kClearLine : "", from, level,
                           printable(redact(message))));
}

LiveLine::LiveLine(FILE* stream)
    : stream_(stream), is_terminal_(core::is_terminal(stream)), last_due_(monotonic_seconds()) {}

bool LiveLine::is_due() {
  const double now = monotonic_seconds();
  if (now - last_due_ < (is_terminal_ ? 0.2 : 10)) return false;
  last_due_ = now;
  return true;
}

void LiveLine::show(const std::string& line) {
  if (log_rank() > 0) return;  // it is news
  const std::lock_guard lock(output_mutex());
  core::show(stream_, is_terminal_ ? kClearLine + line : line + "\n");
  is_open_ = is_terminal_;
}

void LiveLine::finish() {
  if (!is_open_) return;
  const std::lock_guard lock(output_mutex());
  core::show(stream_, "\n");
  is_open_ = false;
}

ProgressBar::ProgressBar(const std::string& label, int64_t total)
    : label_(printable_line(label)),
      total_(std::max<int64_t>(total, 1)),
      started_(monotonic_seconds()) {}

ProgressBar::~ProgressBar() {
  if (line_.is_terminal() && done_ > 0) line_.show(text());
}

void ProgressBar::advance(int64_t count) {
  done_ += count;
  if (line_.is_due()) line_.show(text());
}

std::string ProgressBar::text() const {
  constexpr int kWidth = 30;
  const double elapsed = std::max(monotonic_seconds() - started_, 1e-3);
  const double rate = static_cast<double>(done_) / elapsed;
  std::string bar;
  if (line_.is_terminal()) {
    const int filled = static_cast<int>(kWidth * std::min(done_, total_) / total_);
    bar = fmt::format("[{:#<{}}{:.<{}}] ", "", filled, "", kWidth - filled);
  }
  return fmt::format(
      "{} {}{}/{}  {:.1f}/s  {:.0f} s left", label_, bar, done_, total_, rate,
      static_cast<double>(std::max<int64_t>(total_ - done_, 0)) / std::max(rate, 1e-9));
}

}  // namespace streamo::core
