// When pictures are shown, in whole ticks of the stream's time base: nothing here is rounded.
#pragma once

extern "C" {
#include <libavcodec/packet.h>
#include <libavutil/frame.h>
#include <libavutil/rational.h>
}

#include <cstdint>
#include <optional>
#include <vector>

namespace streamo::video {

// Where the times of pictures come from.
enum class Clock {
  kPresentation,  // PTS: nearly every container
  kDecode,        // DTS (AVI with B-frames): pictures leave the decoder in step with them
  kCount,         // raw streams carry no times: pictures are counted at the nominal rate
};

struct Timeline {
  Clock clock = Clock::kPresentation;
  int64_t start = 0;  // time of the first displayed picture
  int64_t last = 0;   // time of the last one
  int64_t end = 0;    // last + its duration
  int64_t pictures = 0;
  int64_t longest_frame_duration = 0;  // between two pictures, ticks

  // MPEG-2's closed groups begin with pictures shown before their keyframe, others cannot show
  // them: only the decoder knows. `picture` is the first it handed out.
  void include_first(const AVFrame& picture);
};

// Gathers the times of a stream's packets, added in the order of the file.
//
// Not displayed, and so no beginning and no end of the video: packets flagged DISCARD (outside an
// edit list), those before the first keyframe, and the leading pictures shown before that keyframe.
class PacketTimes {
 public:
  // `nominal_duration`: of a picture at the stream's rate, where packets do not tell.
  explicit PacketTimes(int64_t nominal_duration) : nominal_duration_(nominal_duration) {}

  bool add(const AVPacket& packet);  // whether it is displayed, as far as can be told by now
  std::optional<Timeline> timeline() const;  // nullopt: nothing is displayed

 private:
  void begin_at(const AVPacket& packet);
  int64_t packet_time(const AVPacket& packet) const;

  int64_t nominal_duration_;
  Clock clock_ = Clock::kPresentation;
  bool any_ = false, keyframe_seen_ = false;
  int64_t earliest_allowed_ = 0;
  std::vector<int64_t> times_;  // of the packets that are displayed, in the order of the file
  int64_t start_ = 0, last_ = 0, last_duration_ = 0;
};

// The same times as the decoder hands out the pictures.
class PictureClock {
 public:
  PictureClock(const Timeline& timeline, int64_t nominal_duration)
      : timeline_(timeline), nominal_duration_(nominal_duration) {}

  // Ticks since the first displayed picture. Call once a picture, in the decoder's order.
  // A picture without a time follows its predecessor.
  int64_t ticks_from_start(const AVFrame& picture);

 private:
  Timeline timeline_;
  int64_t nominal_duration_;
  std::optional<int64_t> first_dts_, previous_;
};

// The grid of samples: sample k is taken at (k + phase) / rate seconds.
class SampleGrid {
 public:
  // `rate` and `phase` are turned into the simplest fraction that is the same double (29.97 =
  // 2997/100).
  SampleGrid(double rate, double phase, AVRational time_base);

  // n = max(floor((last - start) rate) + 1, floor((end - start) rate))
  int64_t count(const Timeline& timeline) const;
  // Whether a picture `ticks` after the start is on screen, or already gone, when sample k is
  // taken.
  bool reached(int64_t ticks, int64_t k) const;
  int64_t first_reached(int64_t ticks) const;  // the smallest k, from 0, for which that holds
  double seconds(int64_t k) const;

 private:
  int64_t whole_samples(int64_t ticks) const;
  AVRational rate_, phase_, time_base_;
};

}  // namespace streamo::video
