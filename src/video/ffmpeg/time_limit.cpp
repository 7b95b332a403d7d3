// Runs work on a pooled thread and abandons it if it neither finishes nor makes progress: a read
// from a dead network mount cannot be cancelled.
#include "video/ffmpeg/time_limit.h"

#include <unistd.h>

#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/process/progress.h"

namespace streamo::video {
namespace {

constexpr auto kGrace = std::chrono::duration_cast<TimeLimit::Clock::duration>(
    std::chrono::duration<double>(kGraceSeconds));

std::atomic<int>& abandoned_threads() {
  static std::atomic<int> count{0};
  return count;
}

std::function<void()>& inline_progress() {
  static std::function<void()> renewed;
  return renewed;
}

// A thread that does one piece of work after the other.
class Worker : public std::enable_shared_from_this<Worker> {
 public:
  void start() {
    std::thread([self = shared_from_this()] { self->loop(); }).detach();
  }

  // Whether it was done in time; otherwise nobody may use this worker again.
  bool run(TimeLimit& limit, std::function<void()> work) {
    std::unique_lock lock(mutex_);
    work_ = std::move(work);
    busy_ = true;
    changed_.notify_all();
    while (!changed_.wait_until(lock, limit.deadline() + kGrace, [this] { return !busy_; })) {
      // The limit may have been renewed while we waited.
      if (limit.expired() && TimeLimit::Clock::now() >= limit.deadline() + kGrace) {
        is_abandoned_ = true;
        return false;
      }
    }
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    return true;
  }

 private:
  void loop() {
    std::unique_lock lock(mutex_);
    while (!is_abandoned_) {
      changed_.wait(lock, [this] { return busy_; });
      std::function<void()> work = std::exchange(work_, nullptr);
      lock.unlock();
      std::exception_ptr failure;
      try {
        work();
      } catch (...) {
        failure = std::current_exception();
      }
      work = nullptr;  // what it holds is released before anybody hears that it is done
      lock.lock();
      failure_ = failure;
      busy_ = false;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> work_;
  std::exception_ptr failure_;
  bool busy_ = false, is_abandoned_ = false;
};

// Workers that wait for work; never destroyed, as their threads end with the process.
class IdleWorkers {
 public:
  std::shared_ptr<Worker> take() {
    {
      const std::lock_guard lock(mutex_);
      if (owner_ != ::getpid()) {  // a forked child has none of its parent's threads
        new std::vector(std::exchange(idle_, {}));  // destroying what they wait for would block
        owner_ = ::getpid();
      }
      if (!idle_.empty()) {
        std::shared_ptr<Worker> worker = std::move(idle_.back());
        idle_.pop_back();
        return worker;
      }
    }
    auto worker = std::make_shared<Worker>();
    worker->start();
    return worker;
  }

  void give_back(std::shared_ptr<Worker> worker) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(worker));
  }

 private:
  std::mutex mutex_;
  pid_t owner_ = ::getpid();
  std::vector<std::shared_ptr<Worker>> idle_;
};

IdleWorkers& idle_workers() {
  static auto& workers = *new IdleWorkers;  // NOLINT: must outlive its threads
  return workers;
}

}  // namespace

TimeLimit::TimeLimit(double seconds) : seconds_(seconds), deadline_(0) {
  renew();
}

void TimeLimit::renew() {
  const auto allowed = std::chrono::duration_cast<Clock::duration>(seconds_);
  deadline_ = (Clock::now() + allowed).time_since_epoch().count();
  if (inline_progress()) inline_progress()();
  core::reading().note();
}

bool TimeLimit::expired() {
  if (!up_ && Clock::now() >= deadline()) up_ = true;
  return up_;
}

int TimeLimit::interrupt(void* limit) {
  return static_cast<TimeLimit*>(limit)->expired() ? 1 : 0;
}

void run_inline(std::function<void()> renewed) {
  inline_progress() = std::move(renewed);
}

bool run_within(TimeLimit& limit, std::function<void()> work) {
  if (inline_progress()) {
    work();
    return true;
  }
  std::shared_ptr<Worker> worker = idle_workers().take();
  struct GiveBack {
    std::shared_ptr<Worker>& worker;
    bool is_reusable = true;
    ~GiveBack() {
      if (is_reusable) idle_workers().give_back(std::move(worker));
    }
  } give_back{worker};
  if (worker->run(limit, std::move(work))) return true;
  give_back.is_reusable = false;
  ++abandoned_threads();
  return false;
}

int num_abandoned_threads() {
  return abandoned_threads();
}

}  // namespace streamo::video
