// Numbers painted into a picture. Truth: the shapes as one writes them, checked by eye once; widths
// by counting pixels.
#include "video/image/bitmap_font.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace streamo::video {
namespace {

// '#' where `text` is painted, in rows that end with a newline.
std::string painted(FrameSize size, int x, int y, std::string_view text, int scale = 1) {
  std::vector<uint8_t> rgb(static_cast<size_t>(size.height) * static_cast<size_t>(size.width) * 3,
                           7);
  draw_text({size, rgb}, x, y, text, scale, 200);
  std::string rows;
  for (size_t i = 0; i < rgb.size(); i += 3) {
    EXPECT_TRUE(rgb[i] == 7 || rgb[i] == 200);
    EXPECT_TRUE(rgb[i + 1] == rgb[i] && rgb[i + 2] == rgb[i]);  // grey
    rows += rgb[i] == 200 ? '#' : '.';
    if ((i / 3 + 1) % static_cast<size_t>(size.width) == 0) rows += '\n';
  }
  return rows;
}

TEST(BitmapFont, PaintsNumbers) {
  EXPECT_EQ(painted({9, 17}, 0, 1, "4.7"),
            ".................\n"
            "...#........#####\n"
            "..##............#\n"
            ".#.#...........#.\n"
            "#..#..........#..\n"
            "#####.........#..\n"
            "...#...##....#...\n"
            "...#...##....#...\n"
            ".................\n");
}

TEST(BitmapFont, PaintsEachCharacterInItsOwnWay) {
  std::set<std::string> shapes;
  for (const char character : std::string("0123456789.-s")) {
    shapes.insert(painted({kGlyphHeight, kGlyphWidth}, 0, 0, std::string(1, character)));
  }
  EXPECT_EQ(shapes.size(), 13U);
}

TEST(BitmapFont, ScalesByRepeatingPixels) {
  const std::string once = painted({7, 5}, 0, 0, "2"), twice = painted({14, 10}, 0, 0, "2", 2);
  for (size_t y = 0; y < 14; ++y) {
    for (size_t x = 0; x < 10; ++x) {
      EXPECT_EQ(twice[y * 11 + x], once[y / 2 * 6 + x / 2]) << x << ", " << y;
    }
  }
}

TEST(BitmapFont, CutsOffWhatIsOutside) {
  const std::string whole = painted({7, 5}, 0, 0, "8");
  const std::string corner = painted({4, 3}, -2, -3, "8");  // its lower right
  for (size_t y = 0; y < 4; ++y) {
    EXPECT_EQ(corner.substr(y * 4, 3), whole.substr((y + 3) * 6 + 2, 3));
  }
  EXPECT_EQ(painted({3, 3}, 100, -100, "8").find('#'), std::string::npos);
}

TEST(BitmapFont, LeavesOtherCharactersBlank) {
  EXPECT_EQ(painted({7, 17}, 0, 0, "1x1"), painted({7, 17}, 0, 0, "1 1"));
}

TEST(BitmapFont, KnowsHowWideATextIs) {
  EXPECT_EQ(text_width("", 3), 0);
  EXPECT_EQ(text_width("8", 1), 5);
  EXPECT_EQ(text_width("88", 2), 22);
}

}  // namespace
}  // namespace streamo::video
