// Shares for people. Truth: as one would write them.
#include "core/percent.h"

#include <gtest/gtest.h>

namespace streamo::core {
namespace {

TEST(Percent, HasTwoDigitsThatCountAndNoExponent) {
  EXPECT_EQ(percent(0), "0 %");
  EXPECT_EQ(percent(1), "100 %");
  EXPECT_EQ(percent(0.9999), "100 %");
  EXPECT_EQ(percent(9.0 / 26), "35 %");
  EXPECT_EQ(percent(0.1), "10 %");
  EXPECT_EQ(percent(0.07), "7 %");
  EXPECT_EQ(percent(0.0025), "0.25 %");
  EXPECT_EQ(percent(0.00012345), "0.012 %");
  EXPECT_EQ(percent(1e-12), "0 %");
}

}  // namespace
}  // namespace streamo::core
