// Who is named for keeping the others waiting. Truth: the times that are given.
#include "train/stragglers.h"

#include <gtest/gtest.h>

namespace streamo::train {
namespace {

using Seconds = std::vector<double>;

// The steps after which somebody is named.
std::vector<std::pair<int, int>> named(Stragglers& stragglers, const Seconds& seconds, int steps) {
  std::vector<std::pair<int, int>> found;
  for (int step = 1; step <= steps; ++step) {
    if (const auto straggler = stragglers.add(seconds)) found.emplace_back(step, straggler->rank);
  }
  return found;
}

TEST(Stragglers, ARankThatIsSlowerByAThirdIsNamedWithin20StepsAndThenRarely) {
  Stragglers stragglers;
  EXPECT_TRUE(named(stragglers, {1, 1, 1, 1}, 15).empty());
  const auto found = named(stragglers, {1, 1.02, 1.45, 0.98}, 20);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0], std::pair(15, 2));  // of a window in which it was slow all the time
  EXPECT_EQ(named(stragglers, {1, 1.02, 1.45, 0.98}, 200).size(), 2U);
}

TEST(Stragglers, NobodyIsNamedForASingleStepOrForWhatIsUsual) {
  Stragglers stragglers;
  EXPECT_TRUE(named(stragglers, {1, 1, 1.2}, 100).empty());
  EXPECT_TRUE(named(stragglers, {1, 2.5, 1}, 1).empty());
  EXPECT_TRUE(named(stragglers, {1, 1, 1}, 9).empty());
  EXPECT_TRUE(named(stragglers, {7}, 100).empty());  // alone
  EXPECT_TRUE(named(stragglers, {0, 0}, 100).empty());
}

TEST(Stragglers, OfTwoTheSlowerOneIsNamed) {
  Stragglers stragglers;
  EXPECT_EQ(named(stragglers, {1.3, 1}, 10), (std::vector{std::pair(10, 0)}));
}

}  // namespace
}  // namespace streamo::train
