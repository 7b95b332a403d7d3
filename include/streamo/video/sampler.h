// One picture a second, by presentation time.
//
// The definition (docs/data.md): the video starts at o, the time of its first displayed frame.
// Sample k is the frame on screen at o + (k + phase)/fps: the last frame whose time is <= that,
// compared exactly in the stream's time base. There are n = max(floor((P_last - o) fps) + 1,
// floor(D fps)) samples.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "streamo/core/error.h"
#include "streamo/video/resize.h"

namespace streamo::video {

enum class Decoding {
  kPlanned,     // only what the samples need, where that is exact; see docs/data.md
  kSequential,  // every picture, one after the other: the reference for the above
};

struct SampleOptions {
  double fps = 1.0;                              // samples a second; turned into an exact fraction
  double phase = 0.0;                            // 0: the frame at the beginning of each second
  std::optional<PixelLimits> pixel_limits = {};  // smart resize; none: the original size
  ResizeMode resize = ResizeMode::kFast;
  Decoding decoding = Decoding::kPlanned;
  // Seconds of waiting after which a file is given up. They count anew whenever it gets on: for
  // each sample asked for, and for each second of video that is read.
  double time_limit = 60;
};

// What is known without decoding a picture: the packets are read, not decoded.
struct VideoInfo {
  double start = 0;          // o, seconds on the container's clock
  double duration = 0;       // D, seconds from o to the end of the last frame
  double frame_rate = 0;     // average, for display only
  int64_t num_pictures = 0;  // displayed, as far as packets tell
  double longest_frame_duration =
      0;  // seconds that one picture stays on screen at most, the last apart
  double announced_duration = 0;  // seconds the file claims to last; 0: it makes no claim
  FrameSize size;                 // as shown: after rotation, before resizing
  int64_t num_samples = 0;        // n at the asked fps
};

struct Frame {
  int64_t index = 0;    // k
  double time = 0;      // (k + phase) / fps, seconds from o
  double pts_time = 0;  // time of the frame taken, seconds from o
  bool keyframe = false;
  FrameSize size;
  std::vector<uint8_t> rgb;  // [height, width, 3]
};

// The work that was done, so that tests can tell that none was needless.
struct DecodeCounters {
  int64_t packets = 0;         // that the decoder was given to decode
  int64_t pictures = 0;        // that it handed out
  int64_t conversions = 0;     // to RGB
  bool plan_given_up = false;  // began by a plan, and had to decode everything
};

// `path` may be a URL of any kind that FFmpeg reads, as far as it has an end; it is read twice.
// Nothing blocks for longer than the time limit: a file that does not get on is a Fault.

// Reads the file once, without decoding. A Fault names the file and says what is wrong with it
// (missing, not a video, no video stream, no frames, limits exceeded ...).
core::Result<VideoInfo> probe(const std::filesystem::path& path, const SampleOptions& options);

// A forward-only reader. Each wanted frame is converted and scaled once; others are only decoded.
class FrameReader;
class FrameSampler {
 public:
  static core::Result<FrameSampler> open(const std::filesystem::path& path,
                                         const SampleOptions& options);
  FrameSampler(FrameSampler&&) noexcept;
  FrameSampler& operator=(FrameSampler&&) noexcept;
  ~FrameSampler();

  const VideoInfo& info() const;
  DecodeCounters counters() const;  // so far
  // The next sample; nullopt after the last. A damaged stretch repeats the last good picture (the
  // timeline is kept); a Fault when no picture can be had at all.
  core::Result<std::optional<Frame>> next();

 private:
  explicit FrameSampler(std::unique_ptr<FrameReader> reader);
  std::unique_ptr<FrameReader> reader_;
};

// All samples of a file. `last_index` < 0: to the end; else samples 0..last_index only.
core::Result<std::vector<Frame>> sample_video(const std::filesystem::path& path,
                                              const SampleOptions& options,
                                              int64_t last_index = -1);

}  // namespace streamo::video
