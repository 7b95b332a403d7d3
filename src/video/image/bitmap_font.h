// Numbers painted into pictures, without a font library.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "streamo/video/resize.h"

namespace streamo::video {

inline constexpr int kGlyphHeight = 7, kGlyphWidth = 5;  // pixels at scale 1
inline constexpr int kGlyphAdvance = kGlyphWidth + 1;

// Pixels from the first glyph's left edge to the last one's right edge.
int text_width(std::string_view text, int scale);

struct Canvas {
  FrameSize size;
  std::span<uint8_t> rgb;  // [height, width, 3]
};

// Draws `text` (digits, '.', '-', 's'; others are left blank) with its upper left corner at
// (x, y), in a grey of that brightness. What lies outside of the canvas is cut off.
void draw_text(Canvas canvas, int x, int y, std::string_view text, int scale, uint8_t brightness);

}  // namespace streamo::video
