// How long a rank may stand still. Truth: docs/parallel.md.
#include "train/patience.h"

#include <gtest/gtest.h>

namespace streamo::train {
namespace {

using namespace std::chrono_literals;

TEST(Timeouts, OfAStepFollowsTheStepsBefore) {
  const Timeouts patience(/*timeout=*/0, /*decode_timeout=*/60);
  EXPECT_EQ(patience.in_step(2), 30s);
  EXPECT_EQ(patience.in_step(72), 360s);
  EXPECT_EQ(patience.in_step(0), 600s);  // none yet
  EXPECT_EQ(patience.for_silence(), 30s);
}

TEST(Timeouts, OfOtherWorkFollowsWhatItTookBefore) {
  Timeouts patience(0, 60);
  EXPECT_EQ(patience.outside("saving"), 300s);
  patience.took("saving", 1000);
  patience.took("saving", 10);  // the longest counts
  EXPECT_EQ(patience.outside("saving"), 3000s);
  EXPECT_EQ(patience.outside("evaluation"), 300s);
}

// A file is given up within its limit, so that who reads is never held to hang for its sake.
TEST(Timeouts, OfDataIsLongerThanAFileMayTake) {
  for (const double decode : {1.0, 60.0, 3600.0}) {
    for (const double timeout : {0.0, 2.0}) {
      const Timeouts patience(timeout, decode);
      EXPECT_GT(std::chrono::duration<double>(patience.for_data(patience.in_step(2))).count(),
                decode + 1);
    }
  }
}

TEST(Timeouts, ATimeoutStandsForAll) {
  Timeouts patience(2.5, 60);
  patience.took("saving", 1000);
  for (const auto& each : {patience.in_step(0), patience.in_step(72), patience.outside("saving"),
                           patience.for_silence()})
    EXPECT_EQ(each, 2500ms);
}

}  // namespace
}  // namespace streamo::train
