// The page that `streamo watch --html` writes: self-contained, for any browser.
#pragma once

#include <string>

#include "app/watch/watch_output.h"
#include "eval/timeline.h"

namespace streamo::app {

class WatchPage {
 public:
  WatchPage(std::string title, double fps);
  // What stands in the annotations for the turn of this frame; without any, no truth is shown.
  void add(const WatchedSecond& second, const eval::TurnOutcome* truth);
  // Title, summary, the frames as a strip under their seconds with state and reply, and the
  // timeline of states and probabilities, with the truth above it.
  std::string html(const std::string& summary) const;

 private:
  struct Still {
    int64_t index;
    bool is_silent;
    std::string jpeg;    // base64
    std::string figure;  // HTML, the picture's place marked @
  };
  void thin_out();

  nlohmann::ordered_json timeline_;  // as eval::to_json(Timeline)
  int64_t next_index_ = 0;
  std::vector<Still> stills_;
  int64_t every_ = 1;  // of how many seconds silence is shown
};

}  // namespace streamo::app
