// Fills a frame cache ahead of training, on as many machines as there are.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "data/samples/sample_source.h"

namespace streamo::data {

struct PrepareProgress {
  int64_t videos = 0;   // distinct ones of all sources
  int64_t present = 0;  // in the cache already
  int64_t done = 0;     // of the others: decoded, or found to be made by another process meanwhile
  double seconds = 0;   // of video, decoded
  int64_t bytes = 0;    // written
};

struct PrepareOptions {
  int num_workers = 1;
  uint64_t seed = 0;  // of the order: machines that work at once should have different ones
  std::function<bool()> stopped = {};                         // asked before each video
  std::function<void(const PrepareProgress&)> progress = {};  // after each; calls do not overlap
};

struct PrepareResult {
  PrepareProgress progress;
  std::map<std::string, std::string> bad;  // video -> why it cannot be used
  bool complete = false;                   // false: stopped, or the cache no longer writes
};

// All sources must have the same frame cache. Every video is either in it afterwards, or bad.
PrepareResult fill_frame_cache(const std::vector<const SampleSource*>& sources,
                               const PrepareOptions& options);

}  // namespace streamo::data
