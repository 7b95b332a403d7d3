// Copies pixels in display order; a mirror and a transpose cover all eight orientations.
#include "video/pixels/orientation.h"

#include <cstring>

namespace streamo::video {

void copy_oriented(const uint8_t* from, ptrdiff_t row_bytes, Orientation orientation,
                   FrameSize shown, uint8_t* to) {
  const ptrdiff_t step_x = orientation.transpose ? row_bytes : 3;  // in `from`
  const ptrdiff_t step_y = orientation.transpose ? 3 : row_bytes;
  for (int y = 0; y < shown.height; ++y) {
    const uint8_t* row = from + step_y * (orientation.mirror_y ? shown.height - 1 - y : y);
    if (!orientation.transpose && !orientation.mirror_x) {
      std::memcpy(to, row, static_cast<size_t>(shown.width) * 3);
      to += ptrdiff_t{shown.width} * 3;
      continue;
    }
    for (int x = 0; x < shown.width; ++x, to += 3) {
      std::memcpy(to, row + step_x * (orientation.mirror_x ? shown.width - 1 - x : x), 3);
    }
  }
}

}  // namespace streamo::video
