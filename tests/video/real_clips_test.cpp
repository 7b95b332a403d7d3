// Camera clips of scripts/fetch_real_clips.sh, skipped where they have not been fetched. Truth:
// plain sequential decoding, bit for bit; for scaling, the exact way.
#include <gtest/gtest.h>

#include <algorithm>

#include "support/psnr.h"
#include "support/sample_both_ways.h"

namespace streamo::video {
namespace {
namespace fs = std::filesystem;

std::vector<fs::path> real_clips() {
  std::vector<fs::path> clips;
  const fs::path folder = fs::path(STREAMO_SOURCE_DIR) / "build" / "real_clips";
  if (!fs::is_directory(folder)) return clips;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.is_regular_file()) clips.push_back(entry.path());
  }
  std::sort(clips.begin(), clips.end());
  return clips;
}

TEST(RealClips, AreDecodedByAPlanAsOnePictureAfterTheOther) {
  const std::vector<fs::path> clips = real_clips();
  if (clips.empty()) GTEST_SKIP() << "bash scripts/fetch_real_clips.sh fetches them";
  for (const fs::path& clip : clips) {
    for (const SampleOptions& options :
         {SampleOptions{}, SampleOptions{.fps = 2.0, .phase = 0.5}, SampleOptions{.fps = 0.1}}) {
      SCOPED_TRACE(clip.string() + " at " + std::to_string(options.fps));
      SampleOptions small = options;
      small.pixel_limits = PixelLimits{};
      const test::Sampled all = test::sample(clip, small, Decoding::kSequential);
      const test::Sampled planned = test::sample(clip, small, Decoding::kPlanned);
      test::expect_same(planned.frames, all.frames);
      EXPECT_FALSE(planned.counters.plan_given_up);
      EXPECT_LE(planned.counters.packets, all.counters.packets);
    }
  }
}

TEST(RealClips, AreScaledNearToTheExactWay) {
  const std::vector<fs::path> clips = real_clips();
  if (clips.empty()) GTEST_SKIP() << "bash scripts/fetch_real_clips.sh fetches them";
  for (const fs::path& clip : clips) {
    SCOPED_TRACE(clip);
    SampleOptions options{.fps = 0.2, .pixel_limits = PixelLimits{}};
    const auto fast = sample_video(clip, options);
    options.resize = ResizeMode::kExact;
    const auto exact = sample_video(clip, options);
    ASSERT_TRUE(fast && exact);
    ASSERT_EQ(fast->size(), exact->size());
    for (size_t k = 0; k < fast->size(); ++k) {
      EXPECT_GE(test::psnr((*fast)[k].rgb, (*exact)[k].rgb), 50.0) << "sample " << k;
    }
  }
}

}  // namespace
}  // namespace streamo::video
