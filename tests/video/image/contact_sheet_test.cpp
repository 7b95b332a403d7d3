// Sheets read back from their PNG. Truth: each sample has a colour of its own, so the page shows
// which ones are on it and in which order; labels by drawing them at the place that is described.
#include "video/image/contact_sheet.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "video/image/bitmap_font.h"
#include "video/image/picture.h"

namespace streamo::video {
namespace {
namespace fs = std::filesystem;

constexpr int kPaper = 24;

// Of one colour that tells its index: red and green count, blue is full.
Frame sample(int64_t index, FrameSize size) {
  Frame frame{.index = index,
              .time = static_cast<double>(index) / 2,
              .pts_time = static_cast<double>(index) / 2 - 0.25,
              .size = size,
              .rgb = {}};
  frame.rgb.resize(static_cast<size_t>(size.height) * static_cast<size_t>(size.width) * 3);
  for (size_t i = 0; i < frame.rgb.size(); i += 3) {
    frame.rgb[i] = static_cast<uint8_t>(index % 16 * 16);
    frame.rgb[i + 1] = static_cast<uint8_t>(index / 16 % 256);
    frame.rgb[i + 2] = 255;
  }
  return frame;
}

struct Page {
  Picture picture;
  int64_t num_shown;

  const uint8_t* at(int x, int y) const {
    return &picture.rgb[(static_cast<size_t>(y) * static_cast<size_t>(picture.size.width) +
                         static_cast<size_t>(x)) *
                        3];
  }
  // The samples whose colours stand on the page, in rows from the top.
  std::vector<int64_t> indices() const {
    std::vector<int64_t> found;
    for (int y = 0; y < picture.size.height; ++y) {
      for (int x = 0; x < picture.size.width; ++x) {
        const uint8_t* pixel = at(x, y);
        const bool is_corner = pixel[2] == 255 && at(x - 1, y)[2] != 255 && at(x, y - 1)[2] != 255;
        if (is_corner) found.push_back(pixel[0] / 16 + 16 * pixel[1]);
      }
    }
    return found;
  }
};

Page make_page(int64_t num_samples, FrameSize size) {
  const fs::path path =
      fs::path(testing::TempDir()) / fmt::format("streamo-sheet-{}.png", ::getpid());
  ContactSheet sheet(num_samples);
  for (int64_t k = 0; k < num_samples; ++k) sheet.add(sample(k, size));
  sheet.write_png(path);
  auto picture = read_picture(path, std::nullopt);
  fs::remove(path);
  EXPECT_TRUE(picture) << picture.reason();
  return {*std::move(picture), sheet.num_shown()};
}

std::vector<int64_t> all_up_to(int64_t count) {
  std::vector<int64_t> indices;
  for (int64_t k = 0; k < count; ++k) indices.push_back(k);
  return indices;
}

TEST(ContactSheet, ShowsEachSampleInRows) {
  for (const int64_t count : {1, 2, 7, 12, 13, 100, 240}) {
    SCOPED_TRACE(count);
    const Page page = make_page(count, {30, 40});
    EXPECT_EQ(page.num_shown, count);
    EXPECT_EQ(page.indices(), all_up_to(count));
  }
}

TEST(ContactSheet, ShowsSoManyEvenlySpreadWhereThereAreMore) {
  const Page page = make_page(1000, {12, 16});
  std::vector<int64_t> expected;
  for (int64_t i = 0; i < 240; ++i) expected.push_back(i * 1000 / 240);
  EXPECT_EQ(page.num_shown, 240);
  EXPECT_EQ(page.indices(), expected);
}

TEST(ContactSheet, ShrinksLargePicturesInTheirShape) {
  // 160 for the longer side.
  for (const auto& [size, shown] : {std::pair{FrameSize{480, 640}, FrameSize{120, 160}},
                                    {FrameSize{640, 480}, FrameSize{160, 120}},
                                    {FrameSize{4, 1000}, FrameSize{1, 160}},
                                    {FrameSize{20, 30}, FrameSize{20, 30}}}) {
    SCOPED_TRACE(fmt::format("{}x{}", size.width, size.height));
    const Page page = make_page(1, size);
    int pixels = 0, widest = 0;
    for (int y = 0; y < page.picture.size.height; ++y) {
      int width = 0;
      for (int x = 0; x < page.picture.size.width; ++x) width += page.at(x, y)[2] == 255 ? 1 : 0;
      pixels += width;
      widest = std::max(widest, width);
    }
    EXPECT_EQ(widest, shown.width);
    EXPECT_EQ(pixels, shown.width * shown.height);
  }
}

TEST(ContactSheet, TellsTheTimesUnderThePicture) {
  const FrameSize size{90, 160};
  const Page page = make_page(4, size);
  // Sample 3, in the second row or further to the right: its picture's lower left corner.
  int x = 0, y = 0;
  for (int row = 0; row < page.picture.size.height; ++row) {
    for (int column = 0; column < page.picture.size.width; ++column) {
      if (page.at(column, row)[2] != 255 || page.at(column, row)[0] != 3 * 16) continue;
      if (y == 0) x = column;
      y = std::max(y, row);
    }
  }
  // 1.5 s, of the picture at 1.25 s: twice the font's size, with the margin of 6 between.
  std::vector<uint8_t> expected(page.picture.rgb.size(), kPaper);
  draw_text({page.picture.size, expected}, x, y + 1 + 6, "1.5s", 2, 240);
  draw_text({page.picture.size, expected}, x + 160 - text_width("1.250", 2), y + 1 + 6, "1.250", 2,
            150);
  for (int row = y + 1; row < y + 1 + 6 + 2 * kGlyphHeight; ++row) {
    const auto begin = page.at(x, row) - page.picture.rgb.data();
    EXPECT_TRUE(std::equal(page.at(x, row), page.at(x, row) + 160 * 3, expected.begin() + begin))
        << row;
  }
}

}  // namespace
}  // namespace streamo::video
