// Scans all packets, plans, seeks back and decodes. When anything contradicts the plan, the file is
// decoded again from the start without one.
#include "video/decode/picture_source.h"

#include <fmt/format.h>

#include <utility>

#include "video/decode/packet_kind.h"

namespace streamo::video {
namespace fs = std::filesystem;
namespace {

constexpr double kMaxPictureRate = 10'000;  // a second, on average

struct Scan {
  Demuxer demuxer;  // at the end
  Timeline timeline;
  DecodePlanner planner;
};

std::optional<core::Fault> damaged_times(const fs::path& path, const Timeline& timeline,
                                         AVRational time_base, int64_t pictures) {
  const auto seconds = [&](int64_t time) {
    return static_cast<double>(time - timeline.start) * av_q2d(time_base);
  };
  if (seconds(timeline.end) > kMaxSeconds) {
    return file_fault(path, fmt::format("it lasts {:.0f} s, more than the {:.0f} s allowed: the "
                                        "times in it are probably damaged",
                                        seconds(timeline.end), kMaxSeconds));
  }
  const double rate = static_cast<double>(pictures - 1) / seconds(timeline.last);
  if (timeline.last > timeline.start && rate > kMaxPictureRate) {
    return file_fault(path, fmt::format("its pictures follow each other at {:.0f} a second, more "
                                        "than the {:.0f} allowed: the times in it are probably "
                                        "damaged",
                                        rate, kMaxPictureRate));
  }
  return std::nullopt;
}

// Reads all packets of the file.
core::Result<Scan> scan(const std::shared_ptr<FileWatch>& watch, Decoding decoding) {
  const fs::path& path = watch->path;
  core::Result<Demuxer> demuxer = Demuxer::open(watch);
  if (!demuxer) return demuxer.fault();
  PacketTimes times(demuxer->nominal_duration());
  PacketClassifier classifier(*demuxer->stream().codecpar);
  DecodePlanner planner;
  const PacketPtr packet = make_packet();
  int64_t pictures = 0;
  while (demuxer->read(*packet)) {
    const PacketKind kind =
        decoding == Decoding::kPlanned ? classifier.classify(*packet) : PacketKind{};
    const bool displayed = times.add(*packet);
    planner.add(*packet, kind, displayed);
    if (displayed) ++pictures;
  }
  if (demuxer->is_overlong()) {
    return file_fault(path, fmt::format("it holds more than the {} packets allowed", kMaxPackets));
  }
  const std::optional<Timeline> timeline = times.timeline();
  if (!timeline) return file_fault(path, "its video stream holds no pictures");
  if (auto fault = damaged_times(path, *timeline, demuxer->stream().time_base, pictures)) {
    return *std::move(fault);
  }
  return Scan{*std::move(demuxer), *timeline, std::move(planner)};
}

}  // namespace

PictureSource::PictureSource(std::shared_ptr<FileWatch> watch, Decoder decoder, Timeline timeline,
                             SampleGrid grid)
    : watch_(std::move(watch)), decoder_(std::move(decoder)), timeline_(timeline), grid_(grid) {}

core::Result<PictureSource> PictureSource::open(const std::shared_ptr<FileWatch>& watch,
                                                const SampleOptions& options) {
  core::Result<Scan> scanned = scan(watch, options.decoding);
  if (!scanned) return scanned.fault();
  const bool again = scanned->demuxer.rewind();
  core::Result<Decoder> decoder =
      again ? Decoder::open(std::move(scanned->demuxer)) : Decoder::open(watch);
  if (!decoder) return decoder.fault();
  const SampleGrid grid(options.fps, options.phase, decoder->demuxer().stream().time_base);
  PictureSource source(watch, std::move(*decoder), scanned->timeline, grid);
  if (auto fault = source.start(scanned->planner.plan(scanned->timeline, grid))) return *fault;
  return source;
}

// The first picture tells what only decoding can: the true size, and whether there are pictures at
// all.
std::optional<core::Fault> PictureSource::start(std::optional<DecodePlan> plan) {
  if (plan) {
    decoder_.follow(std::move(plan->feed));
    wanted_ = std::move(plan->wanted);
  }
  const bool any = decoder_.next(*ahead_.frame);
  if (wanted_ && (!any || decoder_.in_doubt() || ahead_.frame->pts != timeline_.start)) {
    return decode_everything();
  }
  if (!any) {
    return file_fault(watch_->path, fmt::format("none of its pictures can be decoded ({})",
                                                ffmpeg_reason(AVERROR_INVALIDDATA)));
  }
  timeline_.include_first(*ahead_.frame);
  clock_.emplace(timeline_, decoder_.demuxer().nominal_duration());
  ahead_.ticks = clock_->ticks_from_start(*ahead_.frame);
  ahead_.number = ++pictures_;
  return std::nullopt;
}

std::optional<core::Fault> PictureSource::decode_everything() {
  before_ = counters();
  before_.plan_given_up = true;
  wanted_.reset();
  current_.number = ahead_.number = 0;
  core::Result<Decoder> decoder = Decoder::open(watch_);
  if (!decoder) return decoder.fault();
  decoder_ = std::move(*decoder);
  return start(std::nullopt);
}

core::Result<const TimedFrame*> PictureSource::on_screen(int64_t k) {
  if (wanted_ && !show_planned(k)) {
    if (auto fault = decode_everything()) return *fault;
  }
  if (!wanted_) show_sequential(k);
  return &on_screen();
}

bool PictureSource::show_planned(int64_t k) {
  while (target_ + 1 < wanted_->size() &&
         grid_.reached((*wanted_)[target_ + 1] - timeline_.start, k)) {
    ++target_;
  }
  return advance_to((*wanted_)[target_]);
}

// False: the plan does not hold.
bool PictureSource::advance_to(int64_t pts) {
  while (on_screen().frame->pts < pts) {
    if (!decoder_.next(*current_.frame) || decoder_.in_doubt()) return false;
    current_.number = ++pictures_;
  }
  current_.ticks = pts - timeline_.start;
  return on_screen().frame->pts == pts;
}

void PictureSource::decode_ahead() {
  // Times that run backwards are damage: what has been shown stays shown.
  do {
    ahead_.number = decoder_.next(*ahead_.frame) ? ++pictures_ : 0;
    if (ahead_.number > 0) ahead_.ticks = clock_->ticks_from_start(*ahead_.frame);
  } while (ahead_.number > 0 && ahead_.ticks < current_.ticks);
}

// Where the beginning is damaged, the first good picture stands for what is missing before it.
void PictureSource::show_sequential(int64_t k) {
  while (ahead_.number > 0 && grid_.reached(ahead_.ticks, k)) {
    std::swap(current_, ahead_);
    decode_ahead();
  }
}

DecodeCounters PictureSource::counters() const {
  DecodeCounters counters = before_;
  counters.packets += decoder_.packets_fed();
  counters.pictures += decoder_.pictures();
  return counters;
}

}  // namespace streamo::video
