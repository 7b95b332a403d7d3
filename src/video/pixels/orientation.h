// How a picture is turned or mirrored for display.
#pragma once

#include <cstddef>
#include <cstdint>

#include "streamo/video/resize.h"

namespace streamo::video {

struct Orientation {  // swap x and y first, then mirror
  bool transpose = false, mirror_x = false, mirror_y = false;

  FrameSize displayed(FrameSize coded) const {
    return transpose ? FrameSize{coded.width, coded.height} : coded;
  }
  friend bool operator==(const Orientation&, const Orientation&) = default;
};

// `from` is the picture as coded, RGB, its rows `row_bytes` apart; `to` is [shown.height,
// shown.width, 3].
void copy_oriented(const uint8_t* from, ptrdiff_t row_bytes, Orientation orientation,
                   FrameSize shown, uint8_t* to);

}  // namespace streamo::video
