#include "video/decode/timeline.h"

#include <gtest/gtest.h>

namespace streamo::video {
namespace {

AVPacket packet_at(int64_t pts, int64_t dts, int flags = 0, int64_t duration = 40) {
  AVPacket packet{};
  packet.pts = pts;
  packet.dts = dts;
  packet.flags = flags;
  packet.duration = duration;
  return packet;
}

TEST(PacketTimes, StartsAtTheFirstKeyframeAndSkipsItsLeadingPictures) {
  PacketTimes times(40);
  times.add(packet_at(40, 0));  // the tail of a group whose beginning was cut off
  times.add(packet_at(200, 120, AV_PKT_FLAG_KEY));
  times.add(packet_at(160, 160));  // shown before the keyframe: refers to what was cut off
  times.add(packet_at(240, 200));
  const auto timeline = times.timeline();
  ASSERT_TRUE(timeline);
  EXPECT_EQ(timeline->clock, Clock::kPresentation);
  EXPECT_EQ(timeline->start, 200);
  EXPECT_EQ(timeline->last, 240);
  EXPECT_EQ(timeline->end, 280);
}

TEST(PacketTimes, LeavesOutWhatAnEditListDiscards) {
  PacketTimes times(40);
  times.add(packet_at(-80, -80, AV_PKT_FLAG_KEY | AV_PKT_FLAG_DISCARD));
  times.add(packet_at(0, -40));
  times.add(packet_at(40, 0));
  times.add(packet_at(80, 40, AV_PKT_FLAG_DISCARD));
  const auto timeline = times.timeline();
  ASSERT_TRUE(timeline);
  EXPECT_EQ(timeline->start, 0);
  EXPECT_EQ(timeline->last, 40);
}

TEST(PacketTimes, CountsWhereThereAreNoTimes) {
  PacketTimes times(50);
  for (int i = 0; i < 3; ++i) {
    times.add(packet_at(AV_NOPTS_VALUE, AV_NOPTS_VALUE, i == 0 ? AV_PKT_FLAG_KEY : 0, 0));
  }
  const auto timeline = times.timeline();
  ASSERT_TRUE(timeline);
  EXPECT_EQ(timeline->clock, Clock::kCount);
  EXPECT_EQ(timeline->last, 100);
  EXPECT_EQ(timeline->end, 150);
}

TEST(PacketTimes, HasNoTimelineWithoutPackets) {
  EXPECT_FALSE(PacketTimes(1).timeline());
}

// Truth: the definition, worked by hand.
TEST(SampleGrid, CountsByTheLastPictureAndByTheWholeDuration) {
  const SampleGrid grid(1.0, 0.0, {1, 1000});
  EXPECT_EQ(grid.count({Clock::kPresentation, 0, 0, 0}), 1);          // one picture
  EXPECT_EQ(grid.count({Clock::kPresentation, 500, 2499, 2539}), 2);  // last at 1.999 s
  EXPECT_EQ(grid.count({Clock::kPresentation, 500, 2500, 2540}), 3);  // last at 2.000 s
  EXPECT_EQ(grid.count({Clock::kPresentation, 0, 2500, 5000}), 5);    // a frozen end of 2.5 s
}

TEST(SampleGrid, ComparesExactly) {
  // A picture at 1001/30000 * 30 = 1.001 s is not on screen at 1 s; in floating point these are
  // near misses.
  const SampleGrid grid(30000.0 / 1001.0, 0.0, {1, 30000});
  for (int64_t k = 0; k < 100000; k += 997) {
    EXPECT_TRUE(grid.reached(1001 * k, k));
    EXPECT_FALSE(grid.reached(1001 * k + 1, k));
  }
  const SampleGrid halves(2.0, 0.5, {1, 90000});
  EXPECT_TRUE(halves.reached(22500, 0));  // 0.25 s
  EXPECT_FALSE(halves.reached(22501, 0));
  EXPECT_DOUBLE_EQ(halves.seconds(3), 1.75);
}

}  // namespace
}  // namespace streamo::video
