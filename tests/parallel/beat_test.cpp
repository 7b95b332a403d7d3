// Who counts as slow and who as dead. Time is given, so that nothing depends on the clock.
#include "parallel/beat.h"

#include <gtest/gtest.h>

namespace streamo::parallel {
namespace {

using namespace std::chrono_literals;

Heartbeat beat(int64_t number, int64_t progress, std::chrono::milliseconds pause = 0s) {
  return {.number = number, .collectives = 7, .progress = progress, .pause = pause};
}

TEST(Heartbeat, IsReadAsItWasWritten) {
  const Heartbeat beat{.number = 3,
                       .collectives = 11,
                       .progress = 5,
                       .pause = 1500ms,
                       .stop = true,
                       .seconds = 31.2,
                       .activity = "step 12, decoding a b.mp4"};
  const Heartbeat read = Heartbeat::parse(beat.text());
  EXPECT_EQ(read.text(), beat.text());
  EXPECT_EQ(read.pause, beat.pause);
  EXPECT_TRUE(read.stop);
  EXPECT_EQ(read.doing(), "step 12, decoding a b.mp4 for 31 s");
}

TEST(Pulse, WhoLivesButMakesNoProgressIsStill) {
  Pulse pulse;
  pulse.hear(beat(0, 1), 0s);
  for (int look = 1; look <= 60; ++look) pulse.hear(beat(look, 1), 500ms);
  EXPECT_EQ(pulse.still(), 30s);
  EXPECT_EQ(pulse.silent(), 0s);
  pulse.hear(beat(61, 2), 500ms);
  EXPECT_EQ(pulse.still(), 0s);
}

// A video of 8 h whose decoding takes 8 h: each second of it is progress.
TEST(Pulse, WhoGetsOnIsNeverStillForLongerThanItsPause) {
  Pulse pulse;
  for (int look = 0; look < 8 * 3600; ++look) {
    pulse.hear(beat(look, look / 50, 62s), 1s);  // once in 50 s
    ASSERT_LT(pulse.still(), pulse.limit(30s)) << look;
  }
  EXPECT_EQ(pulse.limit(30s), 62s);
}

TEST(Pulse, ACollectiveIsProgress) {
  Pulse pulse;
  pulse.hear(beat(0, 1), 0s);
  Heartbeat next = beat(1, 1);
  for (int look = 0; look < 40; ++look) pulse.hear(next, 1s);
  EXPECT_GE(pulse.still(), 39s);
  EXPECT_EQ(pulse.limit(30s), 30s);
  ++next.collectives;
  pulse.hear(next, 1s);
  EXPECT_EQ(pulse.still(), 0s);
}

// SIGSTOP: no beat at all.
TEST(Pulse, WhoSaysNothingIsSilent) {
  Pulse pulse;
  pulse.hear(beat(0, 1, 600s), 0s);
  for (int look = 0; look < 29; ++look) pulse.hear(beat(0, 1, 600s), 1s);
  EXPECT_EQ(pulse.silent(), 29s);
  pulse.hear(beat(1, 1, 600s), 1s);
  EXPECT_EQ(pulse.silent(), 0s);
}

// We were stopped ourselves, or the whole machine was: it proves nothing about the other.
TEST(Pulse, TheTimeInWhichWeWereStoppedIsNobodysSilence) {
  Pulse pulse;
  pulse.hear(beat(0, 1), 0s);
  pulse.hear(beat(0, 1), 1h);
  EXPECT_LE(pulse.silent(), 1s);
  EXPECT_LE(pulse.still(), 1s);
}

}  // namespace
}  // namespace streamo::parallel
