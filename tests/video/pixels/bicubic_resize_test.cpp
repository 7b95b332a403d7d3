// Truth: known properties, and one case worked out by ATen (torch 2.11). That all cases equal ATen
// is tested in tests/model/picture_resize_test.cpp, which may link it.
#include "video/pixels/bicubic_resize.h"

#include <gtest/gtest.h>

namespace streamo::video {
namespace {

TEST(ResizeBicubic, EqualsAten) {
  std::vector<uint8_t> rgb(2 * 4 * 3);
  for (size_t i = 0; i < rgb.size(); ++i) rgb[i] = static_cast<uint8_t>(i * i * 7);
  const std::vector<uint8_t> expected = {51,  55,  109, 151, 140, 141, 106, 78,  143,
                                         126, 132, 167, 160, 100, 176, 101, 123, 192};
  EXPECT_EQ(resize_bicubic(rgb, {2, 4}, {3, 2}), expected);
}

TEST(ResizeBicubic, KeepsEveryPixelWhenTheSizeStays) {
  std::vector<uint8_t> rgb(31 * 17 * 3);
  for (size_t i = 0; i < rgb.size(); ++i) rgb[i] = static_cast<uint8_t>(i * 2654435761U >> 13);
  EXPECT_EQ(resize_bicubic(rgb, {31, 17}, {31, 17}), rgb);
}

TEST(ResizeBicubic, KeepsOneColourAtAnySize) {
  for (const FrameSize to : {FrameSize{28, 56}, FrameSize{1, 1}, FrameSize{300, 2}}) {
    const std::vector<uint8_t> white(7 * 130 * 3, 255);
    const std::vector<uint8_t> resized = resize_bicubic(white, {7, 130}, to);
    EXPECT_EQ(resized, std::vector<uint8_t>(resized.size(), 255));
    EXPECT_EQ(resized.size(), static_cast<size_t>(to.height * to.width * 3));
  }
}

TEST(ResizeBicubic, TakesAWholeSideDownToOnePixel) {
  std::vector<uint8_t> ramp(3 * 16000);
  for (size_t i = 0; i < ramp.size(); ++i) ramp[i] = static_cast<uint8_t>(i / 3 * 256 / 16000);
  const std::vector<uint8_t> resized = resize_bicubic(ramp, {1, 16000}, {1, 1});
  EXPECT_NEAR(resized[0], 127, 1);  // the mean of the ramp
}

}  // namespace
}  // namespace streamo::video
