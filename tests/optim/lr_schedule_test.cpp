// Truth: the lambdas of transformers' get_{cosine,linear,constant}_schedule_with_warmup, evaluated
// in Python.
#include "optim/lr_schedule.h"

#include <gtest/gtest.h>

#include "streamo/core/error.h"

namespace streamo::optim {
namespace {

TEST(Schedule, CosineHasHuggingFaceValues) {
  const LrSchedule schedule("cosine", 1e-5, 0.05, 100);
  EXPECT_EQ(schedule.warmup_steps(), 5);
  EXPECT_DOUBLE_EQ(schedule.lr(0), 0.0);
  EXPECT_DOUBLE_EQ(schedule.lr(1), 2e-6);
  EXPECT_DOUBLE_EQ(schedule.lr(4), 8e-6);
  EXPECT_DOUBLE_EQ(schedule.lr(5), 1e-5);
  EXPECT_NEAR(schedule.lr(50), 5.4128967273616618e-06, 1e-19);
  EXPECT_NEAR(schedule.lr(99), 2.7337132953697556e-09, 1e-19);
  EXPECT_DOUBLE_EQ(schedule.lr(100), 0.0);
  EXPECT_DOUBLE_EQ(schedule.lr(150), 0.0);  // no second period
}

TEST(Schedule, LinearAndConstant) {
  const LrSchedule linear("linear", 1.0, 0.1, 10), constant("constant", 1.0, 0.1, 10);
  EXPECT_DOUBLE_EQ(linear.lr(1), 1.0);
  EXPECT_DOUBLE_EQ(linear.lr(4), 6.0 / 9.0);
  EXPECT_DOUBLE_EQ(linear.lr(10), 0.0);
  EXPECT_DOUBLE_EQ(constant.lr(0), 0.0);
  EXPECT_DOUBLE_EQ(constant.lr(1), 1.0);
  EXPECT_DOUBLE_EQ(constant.lr(12), 1.0);
}

TEST(Schedule, WarmupIsRoundedUpAndMayBeAbsentOrEverything) {
  EXPECT_EQ(LrSchedule("cosine", 1, 0.03, 10).warmup_steps(), 1);
  EXPECT_DOUBLE_EQ(LrSchedule("cosine", 1, 0.0, 10).lr(0), 1.0);
  const LrSchedule only_warmup("cosine", 1, 1.0, 4);
  EXPECT_DOUBLE_EQ(only_warmup.lr(3), 0.75);
}

// Where transformers would train at a rate of 0 all the time.
TEST(Schedule, ARunOfOneStepLearns) {
  for (const char* kind : {"cosine", "linear", "constant"}) {
    for (const double warmup : {0.0, 0.05, 1.0})
      EXPECT_DOUBLE_EQ(LrSchedule(kind, 1, warmup, 1).lr(0), 1.0) << kind << warmup;
  }
}

TEST(Schedule, RefusesAnUnknownKind) {
  EXPECT_THROW(LrSchedule("cosin", 1, 0, 1), core::Error);
}

}  // namespace
}  // namespace streamo::optim
