// From the decoder's picture to RGB at its own size, by FFmpeg.
#pragma once

#include <cstdint>
#include <vector>

#include "video/ffmpeg/ffmpeg_handles.h"
#include "video/pixels/orientation.h"

namespace streamo::video {

// From the stream's display matrix. Angles that are no multiple of 90 degrees are left alone, as
// players do.
Orientation display_orientation(const AVStream& stream);

// Whether 0 is black, by the format or the tag.
bool is_full_range(const AVFrame& picture);

// The tag's number, as sws_getCoefficients takes it. A decoder passes on what the file says, also
// what AVColorSpace does not have: it must be read as a number.
int colour_matrix(const AVFrame& picture);

// As careful as FFmpeg can: the colours that the base models were trained with.
class RgbConverter {
 public:
  explicit RgbConverter(Orientation orientation) : orientation_(orientation) {}

  // [height, width, 3] as displayed; empty when FFmpeg cannot convert this kind of picture.
  // The picture's size and format may change from one call to the next.
  std::vector<uint8_t> convert(const AVFrame& picture);

 private:
  struct Source {
    int width = 0, height = 0, format = -1, colour_matrix = 0;
    bool full_range = false;
    friend bool operator==(const Source&, const Source&) = default;
  };
  bool prepare(const Source& source);

  Orientation orientation_;
  Source source_;
  ScalerPtr scaler_;
  std::vector<uint8_t> converted_;  // before turning, rows padded
};

}  // namespace streamo::video
