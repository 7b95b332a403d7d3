// The pictures of a file that are on screen when samples are taken.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "streamo/video/sampler.h"
#include "video/decode/decode_plan.h"
#include "video/decode/decoder.h"
#include "video/decode/timeline.h"

namespace streamo::video {

struct TimedFrame {
  FramePtr frame = make_frame();
  int64_t ticks = 0;   // its time, from the start
  int64_t number = 0;  // another picture, another number; 0: none
};

// By a plan where that is exact. Where the plan meets anything it did not foresee (damage, times
// that are not those of the pictures), the file is read again from its beginning, and everything is
// decoded.
class PictureSource {
 public:
  static core::Result<PictureSource> open(const std::shared_ptr<FileWatch>& watch,
                                          const SampleOptions& options);

  const Demuxer& demuxer() const { return decoder_.demuxer(); }
  const Timeline& timeline() const { return timeline_; }
  const SampleGrid& grid() const { return grid_; }

  // The first picture of the file. Before on_screen().
  const AVFrame& first() const { return *on_screen().frame; }
  // Valid until the next call; k ascends. Fault: the file could be read before, but not again.
  core::Result<const TimedFrame*> on_screen(int64_t k);

  DecodeCounters counters() const;

 private:
  PictureSource(std::shared_ptr<FileWatch> watch, Decoder decoder, Timeline timeline,
                SampleGrid grid);
  std::optional<core::Fault> start(std::optional<DecodePlan> plan);
  std::optional<core::Fault> decode_everything();
  bool advance_to(int64_t pts);
  bool show_planned(int64_t k);
  void show_sequential(int64_t k);
  void decode_ahead();
  const TimedFrame& on_screen() const { return current_.number > 0 ? current_ : ahead_; }

  std::shared_ptr<FileWatch> watch_;
  Decoder decoder_;
  Timeline timeline_;
  SampleGrid grid_;
  std::optional<PictureClock> clock_;
  std::optional<std::vector<int64_t>> wanted_;  // of the plan; none: everything is decoded
  size_t target_ = 0;                           // the wanted picture that is shown
  // `ahead_`: the picture that follows the current one, or the first. Without a plan, it must be
  // known before the current one can be shown.
  TimedFrame current_, ahead_;
  int64_t pictures_ = 0;
  DecodeCounters before_;  // of a plan that was given up
};

}  // namespace streamo::video
