#include "video/image/png.h"

#include <gtest/gtest.h>

#include <vector>

#include "streamo/core/error.h"
#include "streamo/video/sampler.h"

namespace streamo::video {
namespace {
namespace fs = std::filesystem;

TEST(Png, KeepsEveryPixel) {
  const FrameSize size{5, 7};
  std::vector<uint8_t> rgb(5 * 7 * 3);
  for (size_t i = 0; i < rgb.size(); ++i) rgb[i] = static_cast<uint8_t>(i * 37);
  const fs::path path = fs::path(testing::TempDir()) / "streamo-pixels.png";
  write_png(path, size, rgb);
  const auto frames = sample_video(path, {});  // a still is a video of one picture
  ASSERT_TRUE(frames) << frames.reason();
  ASSERT_EQ(frames->size(), 1u);
  EXPECT_EQ(frames->front().size, size);
  EXPECT_EQ(frames->front().rgb, rgb);
  fs::remove(path);
}

TEST(Png, NamesThePathThatCannotBeWritten) {
  const std::vector<uint8_t> rgb(3);
  try {
    write_png("/proc/no-such-folder/a.png", {1, 1}, rgb);
    FAIL() << "no error";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kDisk);
    EXPECT_NE(std::string(error.what()).find("/proc/no-such-folder"), std::string::npos);
  }
}

}  // namespace
}  // namespace streamo::video
