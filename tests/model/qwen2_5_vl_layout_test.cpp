// Truth: the definition of a window, 112 x 112 pixels = 4 x 4 visual tokens counted from the top
// left of the picture.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "model/qwen2_5_vl/vision.h"

namespace streamo::model::qwen2_5_vl {
namespace {

TEST(VisionLayout, TokensOfAWindowAreNeighboursInTheirPicture) {
  const std::vector<ImageGrid> grid = {{1, 12, 20}, {1, 4, 6}, {1, 12, 20}};  // patches
  const VisionLayout layout = vision_layout({}, grid);

  // For each token: the picture and the window it must be in.
  std::vector<std::array<int64_t, 3>> cut_window;
  for (size_t picture = 0; picture < grid.size(); ++picture) {
    for (int64_t row = 0; row < grid[picture].h / 2; ++row) {
      for (int64_t column = 0; column < grid[picture].w / 2; ++column) {
        cut_window.push_back({static_cast<int64_t>(picture), row / 4, column / 4});
      }
    }
  }
  std::set<std::array<int64_t, 3>> seen;
  for (size_t i = 1; i < layout.cu_windows.size(); ++i) {
    std::set<std::array<int64_t, 3>> windows;
    for (int64_t token = layout.cu_windows[i - 1] / 4; token < layout.cu_windows[i] / 4; ++token) {
      windows.insert(
          cut_window[static_cast<size_t>(layout.window_order[static_cast<size_t>(token)])]);
    }
    ASSERT_EQ(windows.size(), 1U);
    EXPECT_TRUE(seen.insert(*windows.begin()).second) << "a window in two pieces";
  }
  EXPECT_EQ(seen.size(), 2U * 6 + 1);

  std::vector<int64_t> all = layout.window_order, expected(cut_window.size());
  std::sort(all.begin(), all.end());
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(all, expected);
  EXPECT_THAT(layout.cu_pictures, testing::ElementsAre(0, 240, 264, 504));
}

// Attention makes one call for neighbours of one length: 4 kinds of windows in 200 pictures must
// not become a thousand calls.
TEST(VisionLayout, WindowsOfOneLengthAreNeighbours) {
  const VisionLayout layout = vision_layout({}, std::vector<ImageGrid>(200, {1, 20, 30}));
  std::vector<int64_t> lengths;
  for (size_t i = 1; i < layout.cu_windows.size(); ++i) {
    lengths.push_back(layout.cu_windows[i] - layout.cu_windows[i - 1]);
  }
  EXPECT_EQ(lengths.size(), 200U * 12);
  lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
  EXPECT_THAT(lengths, testing::ElementsAre(64, 48, 32, 24));
}

// Blocks of 2 x 2 patches in row order, within a block row by row.
TEST(VisionLayout, RowsAndColumnsInTheOrderOfThePatches) {
  const VisionLayout layout = vision_layout({}, std::vector<ImageGrid>{{1, 2, 4}});
  EXPECT_THAT(layout.rows, testing::ElementsAre(0, 0, 1, 1, 0, 0, 1, 1));
  EXPECT_THAT(layout.columns, testing::ElementsAre(0, 1, 0, 1, 2, 3, 2, 3));
}

}  // namespace
}  // namespace streamo::model::qwen2_5_vl
