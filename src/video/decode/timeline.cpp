// Timestamps in 128-bit integer arithmetic: which picture is on screen at sample k is decided
// exactly, also at 30000/1001 fps.
#include "video/decode/timeline.h"

#include <algorithm>
#include <limits>

#include "streamo/core/error.h"

namespace streamo::video {
namespace {

// Products of ticks, rates and time bases reach 10^29: 64 bits do not hold them.
__extension__ using Wide = __int128;

// The largest numerator or denominator looked for. 30000/1001 and 24000/1001 are below.
constexpr int kMaxFractionTerm = 1'000'000;

// Damaged files name times that overflow when they are subtracted. At the finest time base this is
// 36 years.
constexpr int64_t kMaxTicks = int64_t{1} << 60;

bool is_time(int64_t ticks) {
  return ticks > -kMaxTicks && ticks < kMaxTicks;
}

Wide floor_divide(Wide value, Wide divisor) {  // divisor > 0
  const Wide quotient = value / divisor;
  return value % divisor < 0 ? quotient - 1 : quotient;
}

}  // namespace

void Timeline::include_first(const AVFrame& picture) {
  if (clock == Clock::kPresentation && is_time(picture.pts)) start = std::min(start, picture.pts);
}

void PacketTimes::begin_at(const AVPacket& packet) {
  clock_ = is_time(packet.pts)   ? Clock::kPresentation
           : is_time(packet.dts) ? Clock::kDecode
                                 : Clock::kCount;
  keyframe_seen_ = (packet.flags & AV_PKT_FLAG_KEY) != 0;
  earliest_allowed_ = keyframe_seen_ && clock_ == Clock::kPresentation
                          ? packet.pts
                          : std::numeric_limits<int64_t>::min();
  times_.clear();
}

int64_t PacketTimes::packet_time(const AVPacket& packet) const {
  switch (clock_) {
    case Clock::kPresentation:
      return packet.pts;
    case Clock::kDecode:
      return packet.dts;
    case Clock::kCount:
      break;
  }
  return static_cast<int64_t>(times_.size()) * nominal_duration_;
}

bool PacketTimes::add(const AVPacket& packet) {
  const bool keyframe = (packet.flags & AV_PKT_FLAG_KEY) != 0;
  if (!any_ || (keyframe && !keyframe_seen_)) begin_at(packet);
  any_ = true;
  if ((packet.flags & AV_PKT_FLAG_DISCARD) != 0) return false;
  const int64_t time = packet_time(packet);
  if (!is_time(time) || time < earliest_allowed_) return false;
  if (times_.empty() || time < start_) start_ = time;
  if (times_.empty() || time >= last_) {
    last_ = time;
    last_duration_ =
        packet.duration > 0 && is_time(packet.duration) ? packet.duration : nominal_duration_;
  }
  times_.push_back(time);
  return true;
}

std::optional<Timeline> PacketTimes::timeline() const {
  if (times_.empty()) return std::nullopt;
  std::vector<int64_t> shown = times_;
  std::sort(shown.begin(), shown.end());
  Timeline timeline{clock_, start_, last_, last_ + last_duration_};
  timeline.pictures = static_cast<int64_t>(shown.size());
  for (size_t i = 1; i < shown.size(); ++i) {
    timeline.longest_frame_duration =
        std::max(timeline.longest_frame_duration, shown[i] - shown[i - 1]);
  }
  return timeline;
}

int64_t PictureClock::ticks_from_start(const AVFrame& picture) {
  std::optional<int64_t> ticks;
  if (timeline_.clock == Clock::kPresentation && is_time(picture.pts)) {
    ticks = picture.pts - timeline_.start;
  } else if (timeline_.clock == Clock::kDecode && is_time(picture.pkt_dts)) {
    // The decoder's delay moves all of them alike.
    if (!first_dts_) first_dts_ = picture.pkt_dts;
    ticks = picture.pkt_dts - *first_dts_;
  }
  if (!ticks) ticks = previous_ ? *previous_ + nominal_duration_ : 0;
  previous_ = ticks;
  return *ticks;
}

SampleGrid::SampleGrid(double rate, double phase, AVRational time_base)
    : rate_(av_d2q(rate, kMaxFractionTerm)),
      phase_(av_d2q(phase, kMaxFractionTerm)),
      time_base_(time_base) {
  STREAMO_CHECK(rate_.num > 0 && rate_.den > 0 && phase_.den > 0, "no such sampling rate or phase");
  STREAMO_CHECK(time_base_.num > 0 && time_base_.den > 0, "no such time base");
}

int64_t SampleGrid::whole_samples(int64_t ticks) const {
  const Wide numerator = Wide{ticks} * time_base_.num * rate_.num;
  return static_cast<int64_t>(floor_divide(numerator, Wide{time_base_.den} * rate_.den));
}

int64_t SampleGrid::count(const Timeline& timeline) const {
  return std::max(whole_samples(timeline.last - timeline.start) + 1,
                  whole_samples(timeline.end - timeline.start));
}

bool SampleGrid::reached(int64_t ticks, int64_t k) const {
  // ticks * time_base <= (k + phase) / rate, multiplied out
  const Wide picture = Wide{ticks} * time_base_.num * rate_.num * phase_.den;
  const Wide sample = (Wide{k} * phase_.den + phase_.num) * rate_.den * time_base_.den;
  return picture <= sample;
}

int64_t SampleGrid::first_reached(int64_t ticks) const {
  // the least k >= ticks * time_base * rate - phase, multiplied out
  const Wide rest = Wide{ticks} * time_base_.num * rate_.num * phase_.den -
                    Wide{phase_.num} * rate_.den * time_base_.den;
  const Wide divisor = Wide{phase_.den} * rate_.den * time_base_.den;
  return std::max<int64_t>(0, static_cast<int64_t>(-floor_divide(-rest, divisor)));
}

double SampleGrid::seconds(int64_t k) const {
  const double samples = static_cast<double>(k) + av_q2d(phase_);
  return samples * rate_.den / rate_.num;
}

}  // namespace streamo::video
