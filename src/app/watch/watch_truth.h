// What an annotation file says of the video that is watched.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "data/samples/sample_source.h"
#include "eval/timeline.h"

namespace streamo::app {

class WatchTruth {
 public:
  // The first sample of this video, of those that ask `question` if it is not empty. Throws
  // core::Error{kData} when there is none.
  WatchTruth(const data::SampleSource& source, const std::string& video,
             const std::string& question);

  const eval::TurnOutcome* at(int64_t turn) const;                 // null beyond the annotation
  std::vector<std::pair<int64_t, std::string>> questions() const;  // by turn

 private:
  std::vector<eval::TurnOutcome> turns_;
};

}  // namespace streamo::app
