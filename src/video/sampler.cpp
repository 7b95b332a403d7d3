#include "streamo/video/sampler.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "decoder.h"
#include "picture_scaler.h"
#include "streamo/video/bicubic_resize.h"
#include "timeline.h"

namespace streamo::video {
namespace fs = std::filesystem;
namespace {

constexpr double kMaxSeconds = 24 * 3600;
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

// Reads all packets of the file.
core::Result<Timeline> scan(const fs::path& path) {
  core::Result<Demuxer> demuxer = Demuxer::open(path);
  if (!demuxer) return demuxer.fault();
  PacketTimes times(demuxer->nominal_duration());
  const PacketPtr packet = make_packet();
  while (demuxer->read(*packet)) times.add(*packet);
  const std::optional<Timeline> timeline = times.timeline();
  if (!timeline) return file_fault(path, "its video stream holds no pictures");
  const double seconds =
      static_cast<double>(timeline->end - timeline->start) * av_q2d(demuxer->stream().time_base);
  if (seconds > kMaxSeconds) {
    return file_fault(path, fmt::format("it lasts {:.0f} s, more than the {:.0f} s allowed: the "
                                        "times in it are probably damaged",
                                        seconds, kMaxSeconds));
  }
  return *timeline;
}

core::Result<FrameSize> target_size(const fs::path& path, FrameSize size,
                                    const SampleOptions& options) {
  if (size.height <= 0 || size.width <= 0 || int64_t{size.height} * size.width > kMaxPixels) {
    return file_fault(
        path, fmt::format("pictures of {}x{} pixels cannot be used", size.width, size.height));
  }
  if (!options.pixel_limits) return size;
  try {
    return smart_resize(size, *options.pixel_limits);
  } catch (const core::Error& refused) {
    return file_fault(path, refused.what());
  }
}

}  // namespace

// `current` is the picture on screen, `ahead` the one that follows it; times are ticks from the
// start.
struct SecondSampler::Impl {
  struct Picture {
    FramePtr frame = make_frame();
    int64_t ticks = 0;
    bool present = false;
  };

  Impl(fs::path file, Decoder opened, Timeline times, const SampleOptions& sampling)
      : path(std::move(file)),
        decoder(std::move(opened)),
        timeline(times),
        time_base(decoder.demuxer().stream().time_base),
        grid(sampling.fps, sampling.phase, time_base),
        resize(sampling.resize) {}

  std::optional<core::Fault> start(const SampleOptions& options);
  void decode_ahead();
  void show_until(int64_t k);
  std::vector<uint8_t> convert(const AVFrame& picture);
  const Picture& on_screen() const { return current.present ? current : ahead; }
  double seconds(int64_t ticks) const { return static_cast<double>(ticks) * av_q2d(time_base); }

  fs::path path;
  Decoder decoder;
  Timeline timeline;
  AVRational time_base;
  SampleGrid grid;
  std::optional<PictureClock> clock;
  FrameSize target;  // of all samples: that of the first picture
  ResizeMode resize;
  Turn turn;
  std::optional<PictureScaler> scaler;  // to the target or, when exact, to the picture's own size
  VideoInfo info;
  Picture current, ahead;
  int64_t next_index = 0;
  std::optional<Frame> converted;  // of on_screen(), until another picture is shown
};

// The first picture tells what only decoding can: the true size, and whether there are pictures at
// all.
std::optional<core::Fault> SecondSampler::Impl::start(const SampleOptions& options) {
  if (!decoder.next(*ahead.frame)) {
    return file_fault(path, fmt::format("none of its pictures can be decoded ({})",
                                        ffmpeg_reason(AVERROR_INVALIDDATA)));
  }
  timeline.include_first(*ahead.frame);
  clock.emplace(timeline, decoder.demuxer().nominal_duration());
  ahead.ticks = clock->ticks_from_start(*ahead.frame);
  ahead.present = true;

  turn = display_turn(decoder.demuxer().stream());
  const FrameSize size = turn.displayed({ahead.frame->height, ahead.frame->width});
  const core::Result<FrameSize> wanted = target_size(path, size, options);
  if (!wanted) return wanted.fault();
  target = *wanted;
  info.start = seconds(timeline.start);
  info.duration = seconds(timeline.end - timeline.start);
  info.frame_rate = av_q2d(decoder.demuxer().frame_rate());
  info.num_pictures = timeline.pictures;
  info.longest_still = seconds(timeline.longest_still);
  info.announced_duration = decoder.demuxer().announced_duration();
  info.size = size;
  info.num_samples = grid.count(timeline);
  return std::nullopt;
}

void SecondSampler::Impl::decode_ahead() {
  // Times that run backwards are damage: what has been shown stays shown.
  do {
    ahead.present = decoder.next(*ahead.frame);
    if (ahead.present) ahead.ticks = clock->ticks_from_start(*ahead.frame);
  } while (ahead.present && ahead.ticks < current.ticks);
}

// Where the beginning is damaged, the first good picture stands for what is missing before it.
void SecondSampler::Impl::show_until(int64_t k) {
  while (ahead.present && grid.reached(ahead.ticks, k)) {
    std::swap(current, ahead);
    converted.reset();
    decode_ahead();
  }
}

// [height, width, 3] of the target size; empty when FFmpeg cannot convert this kind of picture.
std::vector<uint8_t> SecondSampler::Impl::convert(const AVFrame& picture) {
  const bool exact = resize == ResizeMode::kExact;
  const FrameSize size = exact ? turn.displayed({picture.height, picture.width}) : target;
  if (!scaler || scaler->target() != size) scaler.emplace(size, turn);
  std::vector<uint8_t> rgb = scaler->convert(picture);
  if (!exact || rgb.empty()) return rgb;
  return resize_bicubic(rgb, size, target);
}

core::Result<SecondSampler> SecondSampler::open(const fs::path& path,
                                                const SampleOptions& options) {
  check_options(options);
  const core::Result<Timeline> timeline = scan(path);
  if (!timeline) return timeline.fault();
  core::Result<Decoder> decoder = Decoder::open(path);
  if (!decoder) return decoder.fault();
  auto impl = std::make_unique<Impl>(path, std::move(*decoder), *timeline, options);
  if (const auto fault = impl->start(options)) return *fault;
  return SecondSampler(std::move(impl));
}

SecondSampler::SecondSampler(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SecondSampler::SecondSampler(SecondSampler&&) noexcept = default;
SecondSampler& SecondSampler::operator=(SecondSampler&&) noexcept = default;
SecondSampler::~SecondSampler() = default;

const VideoInfo& SecondSampler::info() const {
  return impl_->info;
}

core::Result<std::optional<Frame>> SecondSampler::next() {
  Impl& state = *impl_;
  const int64_t k = state.next_index;
  if (k >= state.info.num_samples) return std::optional<Frame>();
  state.show_until(k);
  if (!state.converted) {
    const Impl::Picture& picture = state.on_screen();
    Frame frame;
    frame.pts_time = state.seconds(picture.ticks);
    frame.keyframe = picture.frame->key_frame != 0;
    frame.size = state.target;
    frame.rgb = state.convert(*picture.frame);
    if (frame.rgb.empty()) {
      return file_fault(state.path, fmt::format("cannot convert its pictures to RGB ({})",
                                                ffmpeg_reason(AVERROR(ENOSYS))));
    }
    state.converted = std::move(frame);
  }
  ++state.next_index;
  Frame frame = *state.converted;
  frame.index = k;
  frame.time = state.grid.seconds(k);
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
