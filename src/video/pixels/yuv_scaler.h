// From planar YUV to RGB at the size the model sees, without FFmpeg's scaler.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "streamo/video/resize.h"
#include "video/ffmpeg/ffmpeg_handles.h"
#include "video/pixels/bicubic_filter.h"

namespace streamo::video {

// The exact way (full-size RGB, cut off at 0 and 255, then the antialiased bicubic) in whole
// numbers of 16 bits, eight rows at a time: the same but for rounding, more than 50 dB from it.
// What RGB has not must be cut off before pixels are mixed: scaling YUV and converting after is 43
// to 47 dB off where a clip has such colours.
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

  int16_t* narrowed_row(int y) {
    return narrowed_.data() + ptrdiff_t{y % narrowed_rows_} * 3 * narrow_pitch_;
  }

  FrameSize from_, to_;
  BicubicFilter across_, down_;
  int pitch_, narrow_pitch_;                  // values from one channel of a row to the next
  int narrowed_rows_;                         // that are kept
  std::array<std::vector<int16_t>, 2> half_;  // chroma of a row, at its own width
  std::array<std::vector<int16_t>, 3> yuv_;   // a row at full width
  std::vector<int16_t> converted_;            // [8, 3, pitch]: rows in RGB
  std::vector<int16_t> columns_;              // [pitch, 3, 8]: the same, turned
  std::vector<int16_t> narrowed_;             // [narrowed_rows, 3, narrow_pitch]: the last rows
  std::vector<int16_t> mixed_;                // [3, narrow_pitch]: a row of the result
};

}  // namespace streamo::video
