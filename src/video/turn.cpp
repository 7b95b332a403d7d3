#include "turn.h"

#include <cstring>

namespace streamo::video {

void copy_turned(const uint8_t* from, ptrdiff_t row_bytes, Turn turn, FrameSize shown,
                 uint8_t* to) {
  const ptrdiff_t step_x = turn.transpose ? row_bytes : 3;  // in `from`
  const ptrdiff_t step_y = turn.transpose ? 3 : row_bytes;
  for (int y = 0; y < shown.height; ++y) {
    const uint8_t* row = from + step_y * (turn.mirror_y ? shown.height - 1 - y : y);
    if (!turn.transpose && !turn.mirror_x) {
      std::memcpy(to, row, static_cast<size_t>(shown.width) * 3);
      to += ptrdiff_t{shown.width} * 3;
      continue;
    }
    for (int x = 0; x < shown.width; ++x, to += 3) {
      std::memcpy(to, row + step_x * (turn.mirror_x ? shown.width - 1 - x : x), 3);
    }
  }
}

}  // namespace streamo::video
