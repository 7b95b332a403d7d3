// Ends the process when a counter stops moving. It counts its own looks, so time in which the whole
// process was stopped is not held against it.
#include "core/process/watchdog.h"

#include <cstdlib>

#include "core/log.h"
#include "streamo/core/error.h"

namespace streamo::core {
namespace {

constexpr std::chrono::milliseconds kLook{250};

}  // namespace

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Watchdog::expect(const std::string& what, const Progress& progress,
                      std::chrono::milliseconds limit) {
  const std::lock_guard lock(mutex_);
  what_ = what;
  progress_ = &progress;
  limit_ = limit;
  still_ = still_.zero();
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
}

void Watchdog::rest() {
  const std::lock_guard lock(mutex_);
  limit_ = limit_.zero();
}

void Watchdog::run() {
  std::unique_lock lock(mutex_);
  int64_t seen = -1;
  while (!changed_.wait_for(lock, kLook, [this] { return stopping_; })) {
    const int64_t steps = progress_->steps();
    still_ = steps == seen ? still_ + kLook : still_.zero();
    seen = steps;
    if (limit_.count() == 0 || still_ < limit_) continue;
    const Error hang(ErrorKind::kHang,
                     fmt::format("it has made no progress for {:g} s",
                                 std::chrono::duration<double>(still_).count()),
                     what_,
                     "the same command goes on from the last checkpoint; if it stands still there "
                     "again, look at the disk, or set parallel.timeout to the seconds it may need");
    log_line("error: ", hang.what());
    std::_Exit(hang.exit_code());
  }
}

}  // namespace streamo::core
