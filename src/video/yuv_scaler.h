// From planar YUV to RGB at the size the model sees, without FFmpeg's scaler.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "bicubic_filter.h"
#include "ffmpeg_handles.h"
#include "streamo/video/resize.h"

namespace streamo::video {

// The exact way (full-size RGB, cut off at 0 and 255, then the antialiased bicubic) in whole
// numbers of 16 bits, a row at a time. More than 50 dB from it on anything but noise of full
// strength: it rounds otherwise, and does not cut off between the two passes of the bicubic. What
// RGB has not must be cut off before pixels are mixed: scaling YUV and converting after is 43 to
// 47 dB off where a clip has such colours.
//
// As FFmpeg does it: chroma lies in the middle of its pixels and is brought to full size by the
// same cubic; rows and columns beyond the edge repeat the last.
class YuvScaler {
 public:
  // Planar YUV of 8 to 14 bits, 4:2:0, 4:2:2, 4:4:0 or 4:4:4, of sides that chroma divides.
  static bool can_read(const AVFrame& picture);

  // Neither side grows.
  YuvScaler(FrameSize from, FrameSize to);

  FrameSize from() const { return from_; }

  // `picture`: of the size `from`. [to.height, to.width, 3]
  std::vector<uint8_t> convert(const AVFrame& picture);

 private:
  struct Picture;  // how the samples lie, and their colours
  struct Rows;     // the work on rows

  int row_values() const { return 3 * pitch_; }
  int16_t* converted_row(int y) {
    return converted_.data() + static_cast<ptrdiff_t>(y % down_.taps) * row_values();
  }

  FrameSize from_, to_;
  BicubicFilter across_, down_;
  int pitch_;                                 // values from one channel of a row to the next
  std::vector<int16_t> converted_;            // [down_.taps, 3, pitch]: the last rows
  std::vector<int16_t> mixed_;                // [3, pitch]: a row of the result, still wide
  std::array<std::vector<int16_t>, 2> half_;  // chroma of a row, at its own width
  std::array<std::vector<int16_t>, 3> yuv_;   // a row at full width
};

}  // namespace streamo::video
