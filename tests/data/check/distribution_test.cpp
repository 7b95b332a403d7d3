// Truth: counted by hand.
#include "data/check/distribution.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <tuple>

namespace streamo::data {
namespace {

using testing::ElementsAre;

std::vector<std::tuple<int64_t, int64_t, size_t>> histogram_bins(std::vector<int64_t> values) {
  std::vector<std::tuple<int64_t, int64_t, size_t>> bins;
  for (const auto& [from, to, count] : Distribution::of(std::move(values)).bins) {
    bins.emplace_back(from, to, count);
  }
  return bins;
}

TEST(Distributions, HaveQuantilesByRank) {
  std::vector<int64_t> values(100);
  std::iota(values.rbegin(), values.rend(), 1);  // 100 ... 1
  const Distribution spread = Distribution::of(values);
  EXPECT_EQ(spread.count, 100u);
  EXPECT_EQ(spread.total, 5050);
  EXPECT_EQ(spread.min, 1);
  EXPECT_EQ(spread.median, 50);
  EXPECT_EQ(spread.p90, 90);
  EXPECT_EQ(spread.p99, 99);
  EXPECT_EQ(spread.max, 100);
  const Distribution one = Distribution::of({7});
  EXPECT_EQ(one.median, 7);
  EXPECT_EQ(one.p99, 7);
  EXPECT_EQ(Distribution::of({}).count, 0u);
}

TEST(Distributions, HaveGrowingBinsForAWideSpread) {
  using Bin = std::tuple<int64_t, int64_t, size_t>;
  EXPECT_THAT(histogram_bins({3, 4, 5, 9, 10, 30}),
              ElementsAre(Bin{2, 4, 2}, Bin{5, 9, 2}, Bin{10, 19, 1}, Bin{20, 49, 1}));
  EXPECT_THAT(histogram_bins({0, 1, 12}),
              ElementsAre(Bin{0, 0, 1}, Bin{1, 1, 1}, Bin{2, 4, 0}, Bin{5, 9, 0}, Bin{10, 19, 1}));
}

TEST(Distributions, HaveEqualBinsForANarrowOne) {
  using Bin = std::tuple<int64_t, int64_t, size_t>;
  EXPECT_THAT(
      histogram_bins({10, 10, 12, 14}),
      ElementsAre(Bin{10, 10, 2}, Bin{11, 11, 0}, Bin{12, 12, 1}, Bin{13, 13, 0}, Bin{14, 14, 1}));
  EXPECT_THAT(histogram_bins({195, 200, 290}),
              ElementsAre(Bin{190, 199, 1}, Bin{200, 209, 1}, Bin{210, 219, 0}, Bin{220, 229, 0},
                          Bin{230, 239, 0}, Bin{240, 249, 0}, Bin{250, 259, 0}, Bin{260, 269, 0},
                          Bin{270, 279, 0}, Bin{280, 289, 0}, Bin{290, 299, 1}));
  EXPECT_THAT(histogram_bins({5, 5}), ElementsAre(Bin{5, 5, 2}));
}

}  // namespace
}  // namespace streamo::data
