// Truth: FrameSampler, which knows a file's whole timeline before it takes a sample.
#include "streamo/video/live_sampler.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <thread>

#include "support/numbered_clip.h"

namespace streamo::video {
namespace {

namespace fs = std::filesystem;

template <typename Sampler>
std::vector<Frame> all_of(const fs::path& path, const SampleOptions& options) {
  auto sampler = Sampler::open(path, options);
  EXPECT_TRUE(sampler) << sampler.reason();
  std::vector<Frame> frames;
  while (sampler) {
    auto frame = sampler->next();
    EXPECT_TRUE(frame) << frame.reason();
    if (!frame || !*frame) break;
    frames.push_back(std::move(**frame));
  }
  return frames;
}

void expect_equal(const std::vector<Frame>& live, const std::vector<Frame>& expected) {
  ASSERT_EQ(live.size(), expected.size());
  for (size_t k = 0; k < live.size(); ++k) {
    EXPECT_EQ(live[k].index, expected[k].index);
    EXPECT_DOUBLE_EQ(live[k].time, expected[k].time);
    EXPECT_NEAR(live[k].pts_time, expected[k].pts_time, 1e-9);
    EXPECT_EQ(live[k].rgb, expected[k].rgb) << k;
  }
}

class LiveSamplers : public testing::Test {
 protected:
  fs::path folder_ = fs::temp_directory_path() / ("streamo_live_" + std::to_string(getpid()));
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
};

TEST_F(LiveSamplers, TakeTheSamplesOfAFile) {
  const SampleOptions small{.pixel_limits = PixelLimits{}};
  for (const auto& [rate, frames] : {std::pair{"25", 130}, {"30000/1001", 91}, {"2", 7}}) {
    const fs::path clip = test::make_clip(folder_ / "clip.mkv", {.frames = frames, .rate = rate});
    for (const double fps : {1.0, 2.0}) {
      SampleOptions options = small;
      options.fps = fps;
      expect_equal(all_of<LiveSampler>(clip, options), all_of<FrameSampler>(clip, options));
    }
  }
}

TEST_F(LiveSamplers, ReadAPipe) {
  const fs::path clip = test::make_clip(folder_ / "clip.ts", {.frames = 80});
  const fs::path pipe = folder_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_TRUE(must_be_read_once(pipe));
  EXPECT_FALSE(must_be_read_once(clip));
  std::thread writer([&] { std::ofstream(pipe) << std::ifstream(clip).rdbuf(); });
  const std::vector<Frame> frames = all_of<LiveSampler>(pipe, {});
  writer.join();
  expect_equal(frames, all_of<FrameSampler>(clip, {}));
}

TEST_F(LiveSamplers, SayWhatIsWrong) {
  EXPECT_FALSE(LiveSampler::open(folder_ / "none.mp4", {}));
  std::ofstream(folder_ / "text.mp4") << "no video";
  const auto text = LiveSampler::open(folder_ / "text.mp4", {});
  ASSERT_FALSE(text);
  EXPECT_NE(text.reason().find("text.mp4"), std::string::npos);
}

TEST(LiveSources, AreToldByTheirNames) {
  EXPECT_TRUE(must_be_read_once("-"));
  EXPECT_TRUE(must_be_read_once("rtsp://camera/1"));
  EXPECT_FALSE(must_be_read_once("https://host/clip.mp4"));
  EXPECT_FALSE(must_be_read_once("/no/such/file"));
}

}  // namespace
}  // namespace streamo::video
