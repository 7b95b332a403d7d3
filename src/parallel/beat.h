// What a process tells the others of itself, and what they make of it: who is behind, who stands
// still.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace streamo::parallel {

struct Heartbeat {
  int64_t number = 0;  // grows as long as the process lives
  // Entered so far. Nothing heard yet: not behind.
  int64_t collectives = std::numeric_limits<int64_t>::max();
  int64_t progress = 0;  // grows while what it does gets on
  // That may pass without progress in what it does now; 0: as long as who waits has patience.
  std::chrono::milliseconds pause{0};
  bool stop = false;   // it was asked to stop
  double seconds = 0;  // that it has been at `activity`
  std::string activity = {};

  std::string text() const;
  static Heartbeat parse(const std::string& text);
  std::string doing() const;  // "step 12, decoding a.mp4 for 31 s"
};

// One other process, by its beats.
class Pulse {
 public:
  // `passed`: of our own time since the last beat that was looked at. A time in which we ourselves
  // were stopped is nobody's silence: it counts as one look.
  void hear(const Heartbeat& beat, std::chrono::milliseconds passed);

  const Heartbeat& beat() const { return beat_; }
  std::chrono::milliseconds silent() const { return silent_; }  // no new beat
  std::chrono::milliseconds still() const { return still_; }    // no progress
  // How long it may be still in what it does: what it says itself, else `patience`.
  std::chrono::milliseconds limit(std::chrono::milliseconds patience) const;

 private:
  Heartbeat beat_;
  std::chrono::milliseconds silent_{0}, still_{0};
};

}  // namespace streamo::parallel
