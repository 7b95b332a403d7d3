#include "streamo/video/sampler.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "ffmpeg_versions.h"
#include "frame_converter.h"
#include "picture_source.h"

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

}  // namespace

struct SecondSampler::Impl {
  Impl(std::shared_ptr<FileWatch> file, PictureSource opened)
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

std::optional<core::Fault> SecondSampler::Impl::start(const SampleOptions& options) {
  auto made = FrameConverter::make(path, source.demuxer().stream(), source.first(), options);
  if (!made) return made.fault();
  converter.emplace(*std::move(made));
  const Timeline& timeline = source.timeline();
  info.start = seconds(timeline.start);
  info.duration = seconds(timeline.end - timeline.start);
  info.frame_rate = av_q2d(source.demuxer().frame_rate());
  info.num_pictures = timeline.pictures;
  info.longest_still = seconds(timeline.longest_still);
  info.announced_duration = source.demuxer().announced_duration();
  info.size = converter->original();
  info.num_samples = source.grid().count(timeline);
  return std::nullopt;
}

// Each picture once, for however many samples it is on screen.
core::Result<const Frame*> SecondSampler::Impl::convert_shown(int64_t k) {
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

core::Result<SecondSampler> SecondSampler::open(const fs::path& path,
                                                const SampleOptions& options) {
  check_options(options);
  const auto watch = std::make_shared<FileWatch>(path, options.time_limit);
  return run_watched<SecondSampler>(watch, [watch, options]() -> core::Result<SecondSampler> {
    core::Result<PictureSource> source = PictureSource::open(watch, options);
    if (!source) return source.fault();
    auto impl = std::make_shared<Impl>(watch, std::move(*source));
    if (const auto fault = impl->start(options)) return *fault;
    return SecondSampler(std::move(impl));
  });
}

SecondSampler::SecondSampler(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
SecondSampler::SecondSampler(SecondSampler&&) noexcept = default;
SecondSampler& SecondSampler::operator=(SecondSampler&&) noexcept = default;
SecondSampler::~SecondSampler() = default;

const VideoInfo& SecondSampler::info() const {
  return impl_->info;
}

DecodeCounters SecondSampler::counters() const {
  DecodeCounters counters = impl_->source.counters();
  counters.conversions = impl_->conversions;
  return counters;
}

core::Result<std::optional<Frame>> SecondSampler::next() {
  return run_watched<std::optional<Frame>>(impl_->watch, [impl = impl_] { return impl->next(); });
}

core::Result<std::optional<Frame>> SecondSampler::Impl::next() {
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

core::Result<VideoInfo> probe(const fs::path& path, const SampleOptions& options) {
  const core::Result<SecondSampler> sampler = SecondSampler::open(path, options);
  if (!sampler) return sampler.fault();
  return sampler->info();
}

core::Result<std::vector<Frame>> sample_video(const fs::path& path, const SampleOptions& options,
                                              int64_t last_index) {
  core::Result<SecondSampler> sampler = SecondSampler::open(path, options);
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
