// How long a file may keep us waiting without getting on.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>

namespace streamo::video {

// Whoever works on the file renews it when the file gets on; what can stop by itself (reading, the
// loops over packets, FFmpeg's network code by its AVIOInterruptCB) asks expired().
class TimeLimit {
 public:
  using Clock = std::chrono::steady_clock;

  explicit TimeLimit(double seconds);

  void renew();
  bool expired();                                  // from then on for ever
  bool has_expired() const { return up_.load(); }  // expired() said so
  double seconds() const { return seconds_.count(); }
  Clock::time_point deadline() const { return Clock::time_point(Clock::duration(deadline_)); }

  static int interrupt(void* limit);  // for AVIOInterruptCB

 private:
  std::chrono::duration<double> seconds_;
  std::atomic<Clock::rep> deadline_;
  std::atomic<bool> up_{false};
};

// Runs `work` on another thread and waits for it. False when the limit was up and the work has not
// stopped within kGraceSeconds: what nothing can interrupt, such as a dead network disk or a
// decoder that does not return. The thread is then left behind, with all that `work` holds, until
// it comes back by itself. What `work` throws is thrown here.
bool run_within(TimeLimit& limit, std::function<void()> work);
inline constexpr double kGraceSeconds = 1;

// In a decoder process: work is from then on done where it is asked for, since the process as a
// whole can be ended; and `renewed` hears that a file gets on.
void run_inline(std::function<void()> renewed);

int num_abandoned_threads();  // by this process so far

}  // namespace streamo::video
