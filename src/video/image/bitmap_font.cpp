// A 5 x 7 font of digits and three more characters, as strings.
#include "video/image/bitmap_font.h"

#include <algorithm>
#include <array>

#include "streamo/core/error.h"

namespace streamo::video {
namespace {

struct Glyph {
  char character;
  std::array<const char*, kGlyphHeight> rows;
};

// clang-format off
constexpr std::array<Glyph, 13> kGlyphs = {{
    {'0', {".###.", "#...#", "#..##", "#.#.#", "##..#", "#...#", ".###."}},
    {'1', {"..#..", ".##..", "..#..", "..#..", "..#..", "..#..", ".###."}},
    {'2', {".###.", "#...#", "....#", "...#.", "..#..", ".#...", "#####"}},
    {'3', {".###.", "#...#", "....#", "..##.", "....#", "#...#", ".###."}},
    {'4', {"...#.", "..##.", ".#.#.", "#..#.", "#####", "...#.", "...#."}},
    {'5', {"#####", "#....", "####.", "....#", "....#", "#...#", ".###."}},
    {'6', {"..##.", ".#...", "#....", "####.", "#...#", "#...#", ".###."}},
    {'7', {"#####", "....#", "...#.", "..#..", "..#..", ".#...", ".#..."}},
    {'8', {".###.", "#...#", "#...#", ".###.", "#...#", "#...#", ".###."}},
    {'9', {".###.", "#...#", "#...#", ".####", "....#", "...#.", ".##.."}},
    {'.', {".....", ".....", ".....", ".....", ".....", ".##..", ".##.."}},
    {'-', {".....", ".....", ".....", "####.", ".....", ".....", "....."}},
    {'s', {".....", ".....", ".####", "#....", ".###.", "....#", "####."}},
}};
// clang-format on

// Paints a square of scale x scale pixels.
void draw_dot(Canvas canvas, int x, int y, int scale, uint8_t brightness) {
  const auto& [size, rgb] = canvas;
  for (int row = std::max(y, 0); row < std::min(y + scale, size.height); ++row) {
    for (int column = std::max(x, 0); column < std::min(x + scale, size.width); ++column) {
      const size_t pixel =
          static_cast<size_t>(row) * static_cast<size_t>(size.width) + static_cast<size_t>(column);
      std::fill_n(rgb.begin() + static_cast<std::ptrdiff_t>(3 * pixel), 3, brightness);
    }
  }
}

}  // namespace

int text_width(std::string_view text, int scale) {
  if (text.empty()) return 0;
  return (static_cast<int>(text.size()) * kGlyphAdvance - 1) * scale;
}

void draw_text(Canvas canvas, int x, int y, std::string_view text, int scale, uint8_t brightness) {
  const auto& [size, rgb] = canvas;
  STREAMO_CHECK(
      rgb.size() == static_cast<size_t>(size.height) * static_cast<size_t>(size.width) * 3,
      "the pixels do not match the size");
  for (const char character : text) {
    const auto glyph = std::find_if(kGlyphs.begin(), kGlyphs.end(), [&](const Glyph& candidate) {
      return candidate.character == character;
    });
    for (int row = 0; glyph != kGlyphs.end() && row < kGlyphHeight; ++row) {
      for (int column = 0; column < kGlyphWidth; ++column) {
        if (glyph->rows[static_cast<size_t>(row)][column] != '#') continue;
        draw_dot(canvas, x + column * scale, y + row * scale, scale, brightness);
      }
    }
    x += kGlyphAdvance * scale;
  }
}

}  // namespace streamo::video
