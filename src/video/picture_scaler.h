// From the decoder's picture to RGB at the size the model sees, in one step.
#pragma once

#include <cstdint>
#include <vector>

#include "ffmpeg_handles.h"
#include "streamo/video/resize.h"
#include "turn.h"

namespace streamo::video {

// From the stream's display matrix. Angles that are no multiple of 90 degrees are left alone, as
// players do.
Turn display_turn(const AVStream& stream);

class PictureScaler {
 public:
  PictureScaler(FrameSize target, Turn turn) : target_(target), turn_(turn) {}

  FrameSize target() const { return target_; }

  // [height, width, 3] of the target size; empty when FFmpeg cannot convert this kind of picture.
  // The picture's own size and format may change from one call to the next.
  std::vector<uint8_t> convert(const AVFrame& picture);

 private:
  struct Source {
    int width = 0, height = 0, format = -1, colour_matrix = 0;
    bool full_range = false;
    friend bool operator==(const Source&, const Source&) = default;
  };
  bool prepare(const Source& source);

  FrameSize target_;  // as displayed
  Turn turn_;
  Source source_;
  ScalerPtr scaler_;
  std::vector<uint8_t> scaled_;  // before turning, rows padded
};

}  // namespace streamo::video
