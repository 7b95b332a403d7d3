// Odd videos. Truth: the bounds of the header, on both sides.
#include "data/check/video_findings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace streamo::data {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

video::VideoInfo ordinary() {
  return {.duration = 20,
          .frame_rate = 25,
          .num_pictures = 500,
          .longest_frame_duration = 0.04,
          .announced_duration = 20,
          .size = {720, 1280},
          .num_samples = 20};
}

Findings collect_findings(const video::VideoInfo& info, double fps = 1) {
  Findings findings;
  find_video_problems(info, fps, findings);
  return findings;
}

TEST(VideoFindings, AreNoneOfAnOrdinaryVideo) {
  EXPECT_THAT(collect_findings(ordinary()), IsEmpty());
  video::VideoInfo fair = ordinary();
  fair.num_pictures = 20;
  fair.longest_frame_duration = 3;
  fair.size = {100, 400};
  fair.announced_duration = 21;
  EXPECT_THAT(collect_findings(fair), IsEmpty()) << "just within the bounds";
  fair = ordinary();
  fair.announced_duration = 0;
  EXPECT_THAT(collect_findings(fair), IsEmpty()) << "no claim, no complaint";
}

TEST(VideoFindings, NameWhatIsOdd) {
  video::VideoInfo info = ordinary();
  info.num_pictures = 19;
  EXPECT_THAT(collect_findings(info),
              ElementsAre(Pair(Finding::kLowRate, "19 pictures in 20.0 s, for 20 turns")));
  info = ordinary();
  info.longest_frame_duration = 3.5;
  EXPECT_THAT(
      collect_findings(info),
      ElementsAre(Pair(Finding::kLongStill, "one picture stays for 3.5 s, 0.04 s on average")));
  EXPECT_THAT(collect_findings(info, 0.5), IsEmpty()) << "less than two turns of 2 s";
  info = ordinary();
  info.num_pictures = 1;
  EXPECT_THAT(collect_findings(info),
              ElementsAre(Pair(Finding::kOnePicture, "there is one picture in it")));
  info = ordinary();
  info.size = {401, 100};
  EXPECT_THAT(collect_findings(info), ElementsAre(Pair(Finding::kExtremeShape, "100x401 pixels")));
  info = ordinary();
  info.announced_duration = 21.5;
  EXPECT_THAT(collect_findings(info),
              ElementsAre(Pair(Finding::kEndsEarly,
                               "it says it lasts 21.5 s, its pictures end at 20.0 s")));
  info.duration = 100;
  info.num_samples = 100;
  info.announced_duration = 104;
  EXPECT_THAT(collect_findings(info), IsEmpty()) << "4 % of it";
}

}  // namespace
}  // namespace streamo::data
