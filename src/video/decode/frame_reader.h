// The samples of one file, from whoever decodes it.
#pragma once

#include <optional>

#include "streamo/core/error.h"
#include "streamo/video/sampler.h"

namespace streamo::video {

class FrameReader {
 public:
  virtual ~FrameReader() = default;
  virtual const VideoInfo& info() const = 0;
  virtual DecodeCounters counters() const = 0;
  // As FrameSampler::next().
  virtual core::Result<std::optional<Frame>> next() = 0;
};

}  // namespace streamo::video
