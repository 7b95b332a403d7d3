// Joins picture source and converter, converts each picture once however many samples show it, and
// keeps FFmpeg on a thread that can be abandoned.
#include "streamo/video/sampler.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "video/decode/frame_reader.h"
#include "video/decode/picture_source.h"
#include "video/ffmpeg/ffmpeg_versions.h"
#include "video/pixels/frame_converter.h"
#include "video/worker/decoder_process.h"

namespace streamo::video {
namespace fs = std::filesystem;
namespace {

constexpr double kMaxRate = 1000;  // samples a second

void check_options(const SampleOptions& options) {
  if (!(options.fps > 0 && options.fps <= kMaxRate)) {
    throw core::Error(core::ErrorKind::kUsage,
                      fmt::format("cannot take {} samples a second", options.fps), "fps",
                      fmt::format("give a number above 0, at most {}", kMaxRate));
  }
  if (!(options.phase >= 0 && options.phase < 1)) {
    throw core::Error(core::ErrorKind::kUsage,
                      fmt::format("{} is no part of a second", options.phase), "phase",
                      "give a number from 0 to below 1");
  }
}

// What the thread that works on the file has of it.
struct OpenVideo {
  OpenVideo(std::shared_ptr<FileWatch> file, PictureSource opened)
      : watch(std::move(file)), path(watch->path), source(std::move(opened)) {}

  std::optional<core::Fault> start(const SampleOptions& options);
  core::Result<std::optional<Frame>> next();
  core::Result<const Frame*> convert_shown(int64_t k);
  double seconds(int64_t ticks) const {
    return static_cast<double>(ticks) * av_q2d(source.demuxer().stream().time_base);
  }

  std::shared_ptr<FileWatch> watch;
  fs::path path;
  PictureSource source;
  std::optional<FrameConverter> converter;
  VideoInfo info;
  int64_t next_index = 0;
  Frame converted;  // of the picture number `converted_number`
  int64_t converted_number = 0, conversions = 0;
};

std::optional<core::Fault> OpenVideo::start(const SampleOptions& options) {
  auto made = FrameConverter::make(path, source.demuxer().stream(), source.first(), options);
  if (!made) return made.fault();
  converter.emplace(*std::move(made));
  const Timeline& timeline = source.timeline();
  info.start = seconds(timeline.start);
  info.duration = seconds(timeline.end - timeline.start);
  info.frame_rate = av_q2d(source.demuxer().frame_rate());
  info.num_pictures = timeline.pictures;
  info.longest_frame_duration = seconds(timeline.longest_frame_duration);
  info.announced_duration = source.demuxer().announced_duration();
  info.size = converter->original();
  info.num_samples = source.grid().count(timeline);
  return std::nullopt;
}

// Each picture once, for however many samples it is on screen.
core::Result<const Frame*> OpenVideo::convert_shown(int64_t k) {
  const core::Result<const TimedFrame*> shown = source.on_screen(k);
  if (!shown) return shown.fault();
  const TimedFrame& picture = **shown;
  if (picture.number != converted_number) {
    converted.pts_time = seconds(picture.ticks);
    converted.keyframe = is_key(*picture.frame);
    converted.size = converter->target();
    converted.rgb = converter->convert(*picture.frame);
    if (converted.rgb.empty()) {
      return file_fault(path, fmt::format("cannot convert its pictures to RGB ({})",
                                          ffmpeg_reason(AVERROR(ENOSYS))));
    }
    converted_number = picture.number;
    ++conversions;
  }
  return &converted;
}

core::Result<std::optional<Frame>> OpenVideo::next() {
  const int64_t k = next_index;
  if (k >= info.num_samples) return std::optional<Frame>();
  const core::Result<const Frame*> shown = convert_shown(k);
  if (!shown) return shown.fault();
  ++next_index;
  Frame frame = **shown;
  frame.index = k;
  frame.time = source.grid().seconds(k);
  return std::optional<Frame>(std::move(frame));
}

// Decodes on a thread of this process.
class LocalReader : public FrameReader {
 public:
  explicit LocalReader(std::shared_ptr<OpenVideo> video) : video_(std::move(video)) {}

  static core::Result<std::unique_ptr<FrameReader>> open(const fs::path& path,
                                                         const SampleOptions& options) {
    using Opened = std::shared_ptr<OpenVideo>;
    const auto watch = std::make_shared<FileWatch>(path, options.time_limit);
    auto video = run_watched<Opened>(watch, [watch, options]() -> core::Result<Opened> {
      core::Result<PictureSource> source = PictureSource::open(watch, options);
      if (!source) return source.fault();
      auto opened = std::make_shared<OpenVideo>(watch, std::move(*source));
      if (const auto fault = opened->start(options)) return *fault;
      return opened;
    });
    if (!video) return video.fault();
    return std::unique_ptr<FrameReader>(std::make_unique<LocalReader>(*std::move(video)));
  }

  const VideoInfo& info() const override { return video_->info; }
  DecodeCounters counters() const override {
    DecodeCounters counters = video_->source.counters();
    counters.conversions = video_->conversions;
    return counters;
  }
  core::Result<std::optional<Frame>> next() override {
    return run_watched<std::optional<Frame>>(video_->watch,
                                             [video = video_] { return video->next(); });
  }

 private:
  std::shared_ptr<OpenVideo> video_;  // shared with the thread that works on the file
};

}  // namespace

core::Result<FrameSampler> FrameSampler::open(const fs::path& path, const SampleOptions& options) {
  check_options(options);
  auto reader =
      is_decoded_elsewhere(path) ? open_elsewhere(path, options) : LocalReader::open(path, options);
  if (!reader) return reader.fault();
  return FrameSampler(*std::move(reader));
}

FrameSampler::FrameSampler(std::unique_ptr<FrameReader> reader) : reader_(std::move(reader)) {}
FrameSampler::FrameSampler(FrameSampler&&) noexcept = default;
FrameSampler& FrameSampler::operator=(FrameSampler&&) noexcept = default;
FrameSampler::~FrameSampler() = default;

const VideoInfo& FrameSampler::info() const {
  return reader_->info();
}

DecodeCounters FrameSampler::counters() const {
  return reader_->counters();
}

core::Result<std::optional<Frame>> FrameSampler::next() {
  return reader_->next();
}

core::Result<VideoInfo> probe(const fs::path& path, const SampleOptions& options) {
  const core::Result<FrameSampler> sampler = FrameSampler::open(path, options);
  if (!sampler) return sampler.fault();
  return sampler->info();
}

core::Result<std::vector<Frame>> sample_video(const fs::path& path, const SampleOptions& options,
                                              int64_t last_index) {
  core::Result<FrameSampler> sampler = FrameSampler::open(path, options);
  if (!sampler) return sampler.fault();
  std::vector<Frame> frames;
  while (last_index < 0 || static_cast<int64_t>(frames.size()) <= last_index) {
    core::Result<std::optional<Frame>> frame = sampler->next();
    if (!frame) return frame.fault();
    if (!*frame) break;
    frames.push_back(std::move(**frame));
  }
  return frames;
}

}  // namespace streamo::video
