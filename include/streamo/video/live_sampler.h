// One picture a second of a video that is read once, as it comes: a network stream, a pipe, a
// camera piped through ffmpeg. The same definition of samples as FrameSampler (sampler.h), which
// needs a file that can be read twice; sample k comes when the picture after it has come.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "streamo/video/sampler.h"

namespace streamo::video {

// "-" (standard input), pipes and devices, and URLs whose kind has no end (rtsp, udp, srt ...).
bool must_be_read_once(const std::filesystem::path& source);

class LiveSampler {
 public:
  // `source`: a file, a URL, or "-". `options.decoding` is without meaning. A Fault says what is
  // wrong with it; nothing blocks for longer than options.time_limit without a new second.
  static core::Result<LiveSampler> open(const std::filesystem::path& source,
                                        const SampleOptions& options);
  LiveSampler(LiveSampler&&) noexcept;
  ~LiveSampler();

  // The next sample; nullopt after the last. A damaged stretch repeats the last good picture.
  core::Result<std::optional<Frame>> next();

 private:
  struct Impl;
  explicit LiveSampler(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;  // shared with the thread that works on the stream
};

}  // namespace streamo::video
