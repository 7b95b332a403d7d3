// Decodes one picture ahead, because a picture's time on screen is known only when the next one
// arrives.
#include "streamo/video/live_sampler.h"

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/url.h"
#include "video/decode/decoder.h"
#include "video/decode/timeline.h"
#include "video/ffmpeg/ffmpeg_versions.h"
#include "video/pixels/frame_converter.h"

namespace streamo::video {
namespace fs = std::filesystem;

bool must_be_read_once(const fs::path& source) {
  if (source == "-") return true;
  if (core::is_url(source)) {
    constexpr std::array<std::string_view, 9> kEndless = {"rtsp://",  "rtsps://", "rtmp://",
                                                          "rtmps://", "udp://",   "rtp://",
                                                          "srt://",   "tcp://",   "rist://"};
    const std::string& name = source.native();
    for (const std::string_view scheme : kEndless) {
      if (name.starts_with(scheme)) return true;
    }
    return false;
  }
  std::error_code error;
  const fs::file_status status = fs::status(core::local_file(source), error);
  return fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status);
}

struct LiveSampler::Impl {
  Impl(std::shared_ptr<FileWatch> file, Decoder opened, const SampleOptions& sample_options)
      : watch(std::move(file)),
        decoder(std::move(opened)),
        options(sample_options),
        grid(options.fps, options.phase, decoder.demuxer().stream().time_base) {}

  std::optional<core::Fault> start();
  bool decode_ahead();
  core::Result<std::optional<Frame>> next();
  core::Result<std::optional<Frame>> shown();
  bool is_over() const;

  std::shared_ptr<FileWatch> watch;
  Decoder decoder;
  SampleOptions options;
  SampleGrid grid;
  std::optional<FrameConverter> converter;
  FramePtr current = make_frame(), ahead = make_frame();
  int64_t first_pts = 0;
  int64_t current_ticks = 0, ahead_ticks = 0;  // since the first picture
  int64_t last_duration = 0;
  bool ended = false;
  int64_t next_index = 0;
};

std::optional<core::Fault> LiveSampler::Impl::start() {
  if (!decoder.next(*current)) {
    return file_fault(watch->path, "none of its pictures can be decoded");
  }
  first_pts = current->best_effort_timestamp;
  auto made = FrameConverter::make(watch->path, decoder.demuxer().stream(), *current, options);
  if (!made) return made.fault();
  converter.emplace(*std::move(made));
  last_duration = decoder.demuxer().nominal_duration();
  decode_ahead();
  return std::nullopt;
}

// Times that run backwards are damage: what has been shown stays shown.
bool LiveSampler::Impl::decode_ahead() {
  do {
    if (!decoder.next(*ahead)) {
      ended = true;
      return false;
    }
    const int64_t pts = ahead->best_effort_timestamp;
    ahead_ticks = pts == AV_NOPTS_VALUE || first_pts == AV_NOPTS_VALUE
                      ? current_ticks + last_duration  // a raw stream: counted
                      : pts - first_pts;
  } while (ahead_ticks < current_ticks);
  return true;
}

bool LiveSampler::Impl::is_over() const {
  Timeline timeline;
  timeline.last = current_ticks;
  timeline.end = current_ticks + last_duration;
  return next_index >= grid.count(timeline);
}

core::Result<std::optional<Frame>> LiveSampler::Impl::next() {
  while (!ended && grid.reached(ahead_ticks, next_index)) {
    std::swap(current, ahead);
    current_ticks = ahead_ticks;
    if (const int64_t duration = frame_duration(*current); duration > 0) last_duration = duration;
    decode_ahead();
  }
  if (ended && is_over()) return std::optional<Frame>();
  return shown();
}

core::Result<std::optional<Frame>> LiveSampler::Impl::shown() {
  Frame frame;
  frame.index = next_index;
  frame.time = grid.seconds(next_index);
  frame.pts_time =
      static_cast<double>(current_ticks) * av_q2d(decoder.demuxer().stream().time_base);
  frame.keyframe = is_key(*current);
  frame.size = converter->target();
  frame.rgb = converter->convert(*current);
  if (frame.rgb.empty()) return file_fault(watch->path, "cannot convert its pictures to RGB");
  ++next_index;
  return std::optional<Frame>(std::move(frame));
}

core::Result<LiveSampler> LiveSampler::open(const fs::path& source, const SampleOptions& options) {
  const auto watch = std::make_shared<FileWatch>(source, options.time_limit);
  return run_watched<LiveSampler>(watch, [watch, options]() -> core::Result<LiveSampler> {
    core::Result<Demuxer> demuxer = Demuxer::open(watch, kMaxPixels, Reading::kOnce);
    if (!demuxer) return demuxer.fault();
    core::Result<Decoder> decoder = Decoder::open(*std::move(demuxer));
    if (!decoder) return decoder.fault();
    auto impl = std::make_shared<Impl>(watch, *std::move(decoder), options);
    if (auto fault = impl->start()) return *std::move(fault);
    return LiveSampler(std::move(impl));
  });
}

LiveSampler::LiveSampler(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
LiveSampler::LiveSampler(LiveSampler&&) noexcept = default;
LiveSampler::~LiveSampler() = default;

core::Result<std::optional<Frame>> LiveSampler::next() {
  return run_watched<std::optional<Frame>>(impl_->watch, [impl = impl_] { return impl->next(); });
}

}  // namespace streamo::video
