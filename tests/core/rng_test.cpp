#include "core/rng.h"

#include <gtest/gtest.h>

#include <numeric>

namespace streamo::core {
namespace {

TEST(Rng, IsAFunctionOfItsKey) {
  EXPECT_EQ(Rng({1, 2}).next(), Rng({1, 2}).next());
  EXPECT_NE(Rng({1, 2}).next(), Rng({2, 1}).next());
  EXPECT_NE(Rng({1}).next(), Rng({1, 0}).next());
}

TEST(Rng, IsUniformEnough) {
  Rng rng({42});
  double sum = 0;
  std::vector<int> counts(5);
  for (int i = 0; i < 20000; ++i) {
    sum += rng.uniform();
    ++counts[static_cast<size_t>(rng.integer(0, 4))];
  }
  EXPECT_NEAR(sum / 20000, 0.5, 0.01);
  for (const int count : counts) EXPECT_NEAR(count, 4000, 250);  // 4.4 standard deviations
}

TEST(Rng, ShuffleIsAPermutation) {
  std::vector<int> items(100);
  std::iota(items.begin(), items.end(), 0);
  std::vector<int> shuffled = items;
  Rng rng({7});
  rng.shuffle(shuffled);
  EXPECT_NE(shuffled, items);
  std::sort(shuffled.begin(), shuffled.end());
  EXPECT_EQ(shuffled, items);
}

}  // namespace
}  // namespace streamo::core
