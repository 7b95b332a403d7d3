// Truth: the clock. The limits are short; each test takes at most 2 s.
#include "video/ffmpeg/time_limit.h"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <thread>

namespace streamo::video {
namespace {

using std::chrono::milliseconds;

TEST(TimeLimit, StaysUpOnceAskedTooLate) {
  TimeLimit limit(0.02);
  EXPECT_FALSE(limit.expired());
  std::this_thread::sleep_for(milliseconds(30));
  EXPECT_FALSE(limit.has_expired());  // nobody has asked
  EXPECT_EQ(TimeLimit::interrupt(&limit), 1);
  limit.renew();
  EXPECT_TRUE(limit.expired());
}

TEST(RunWithin, LetsWorkGoOnThatRenewsItsLimit) {
  TimeLimit limit(0.1);
  int rounds = 0;
  EXPECT_TRUE(run_within(limit, [&] {
    for (; rounds < 30; ++rounds) {
      std::this_thread::sleep_for(milliseconds(10));
      limit.renew();
      if (limit.expired()) return;
    }
  }));
  EXPECT_EQ(rounds, 30);
}

TEST(RunWithin, LeavesBehindWhatDoesNotStop) {
  const int before = num_abandoned_threads();
  TimeLimit limit(0.05);
  const auto held = std::make_shared<int>(1);
  const auto start = TimeLimit::Clock::now();
  EXPECT_FALSE(run_within(limit, [held] { std::this_thread::sleep_for(milliseconds(1500)); }));
  const std::chrono::duration<double> taken = TimeLimit::Clock::now() - start;
  EXPECT_GE(taken.count(), 0.05 + kGraceSeconds);
  EXPECT_LT(taken.count(), 1.45);
  EXPECT_TRUE(limit.has_expired());
  EXPECT_EQ(num_abandoned_threads(), before + 1);
  EXPECT_EQ(held.use_count(), 2);  // the thread still has it
  TimeLimit other(1);
  EXPECT_TRUE(run_within(other, [] {}));  // the next file gets another thread
  std::this_thread::sleep_for(milliseconds(600));
  EXPECT_EQ(held.use_count(), 1);  // and lets it go when it comes back
}

TEST(RunWithin, HandsOnWhatTheWorkThrows) {
  TimeLimit limit(1);
  EXPECT_THROW(run_within(limit, [] { throw std::runtime_error("x"); }), std::runtime_error);
  EXPECT_TRUE(run_within(limit, [] {}));
}

}  // namespace
}  // namespace streamo::video
