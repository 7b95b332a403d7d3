// What `streamo watch` shows of each second, for people and for machines.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "streamo/stream/session.h"
#include "streamo/video/sampler.h"

namespace streamo::app {

struct WatchedSecond {
  video::Frame frame;
  stream::Round round;
  std::vector<std::string> questions;  // asked in this turn
  double latency = 0;                  // seconds from the frame to the end of the turn
  double lag = 0;                      // seconds behind real time when the frame was taken
  int64_t dropped = 0;                 // frames left out before this one
};

// {"index", "second", "state", "probabilities": {"Silence", ..}, "answer" of a response,
// "questions" if any, "latency", "lag" and "dropped" if not 0}
nlohmann::ordered_json to_json(const WatchedSecond& second);

// "  12 s  Response  S 0.02  B 0.10  R 0.88  | The ball crossed."
std::string to_line(const WatchedSecond& second);

// On a terminal with true colour: the picture in half blocks, the states so far as a coloured
// strip, the last replies; each call redraws in place.
class WatchScreen {
 public:
  void show(const WatchedSecond& second);

 private:
  std::vector<int> states_;
  std::vector<std::string> replies_;
  int lines_ = 0;  // of what stands on the screen
};

// stdout is a terminal that says that it can.
bool terminal_has_true_colour();

}  // namespace streamo::app
