#include "streamo/video/resize.h"

#include <gtest/gtest.h>

#include "streamo/core/error.h"

namespace streamo::video {
namespace {

// Truth: smart_resize of transformers' Qwen2-VL image processor, by its formula in Python.
TEST(SmartResize, RoundsHalfToEven) {
  const PixelLimits wide{.min_pixels = 1, .max_pixels = 1 << 20, .factor = 28};
  EXPECT_EQ(smart_resize({70, 42}, wide), (FrameSize{56, 56}));    // 2.5 -> 2, 1.5 -> 2
  EXPECT_EQ(smart_resize({126, 70}, wide), (FrameSize{112, 56}));  // 4.5 -> 4
  EXPECT_EQ(smart_resize({98, 42}, wide), (FrameSize{112, 56}));   // 3.5 -> 4
}

TEST(SmartResize, KeepsWithinThePixelLimits) {
  const PixelLimits recipe;
  EXPECT_EQ(smart_resize({1080, 1920}, recipe), (FrameSize{224, 420}));
  EXPECT_EQ(smart_resize({1920, 1080}, recipe), (FrameSize{420, 224}));
  EXPECT_EQ(smart_resize({480, 640}, recipe), (FrameSize{252, 364}));
  EXPECT_EQ(smart_resize({96, 128}, recipe), (FrameSize{84, 140}));
  EXPECT_EQ(smart_resize({20, 20}, recipe), (FrameSize{56, 56}));
  EXPECT_EQ(smart_resize({160, 1}, recipe), (FrameSize{728, 28}));
  EXPECT_EQ(smart_resize({10, 1900}, recipe), (FrameSize{28, 784}));
}

TEST(SmartResize, RefusesTooLongAndThinPictures) {
  EXPECT_THROW(smart_resize({1, 201}, {}), core::Error);
  EXPECT_THROW(smart_resize({402, 2}, {}), core::Error);
  EXPECT_EQ(smart_resize({1, 200}, {}), (FrameSize{28, 812}));
}

}  // namespace
}  // namespace streamo::video
