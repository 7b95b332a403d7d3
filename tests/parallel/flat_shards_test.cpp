// Parts of tensors over ranks. Truth: the sums written out, fp32, bit for bit.
#include "parallel/flat_shards.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "support/with_ranks.h"

namespace streamo::parallel {
namespace {

using torch::Tensor;

const std::vector<int64_t> kNumels = {5, 1024, 10000, 3, 4097};

std::vector<Tensor> values_of(int rank) {
  torch::manual_seed(rank);
  std::vector<Tensor> values;
  for (const int64_t numel : kNumels) values.push_back(torch::rand({numel}));
  return values;
}

class FlatShardsOf : public testing::TestWithParam<std::pair<int, int64_t>> {};

TEST_P(FlatShardsOf, PartsCoverEachTensorOnce) {
  const auto [size, bucket] = GetParam();
  std::vector<std::vector<FlatShards::Range>> ranges(static_cast<size_t>(size));
  test::with_ranks(size, [&, bucket = bucket](const std::shared_ptr<Ranks>& ranks) {
    const FlatShards shards(ShardGroups::split(ranks, 0), kNumels, bucket);
    for (size_t i = 0; i < kNumels.size(); ++i)
      ranges[static_cast<size_t>(ranks->rank())].push_back(shards.own(i));
  });
  for (size_t i = 0; i < kNumels.size(); ++i) {
    int64_t next = 0;
    for (const auto& of_rank : ranges) {
      EXPECT_EQ(of_rank[i].begin, next);
      EXPECT_TRUE(of_rank[i].end % FlatShards::kGranule == 0 || of_rank[i].end == kNumels[i]);
      next = of_rank[i].end;
    }
    EXPECT_EQ(next, kNumels[i]);
  }
}

TEST_P(FlatShardsOf, SumsAreThoseOfAllRanksAndCompletionIsTheWhole) {
  const auto [size, bucket] = GetParam();
  std::vector<Tensor> sums = values_of(0);  // ranks 0 .. size - 1, of tensor 2 without rank 1
  for (int rank = 1; rank < size; ++rank) {
    for (size_t i = 0; i < kNumels.size(); ++i) {
      if (i != 2 || rank != 1) sums[i] = sums[i] + values_of(rank)[i];
    }
  }
  std::vector<std::vector<Tensor>> given;
  for (int rank = 0; rank < size; ++rank) given.push_back(values_of(rank));
  if (size > 1) given[1][2].reset();  // nothing to add
  test::with_ranks(size, [&, bucket = bucket](const std::shared_ptr<Ranks>& ranks) {
    FlatShards shards(ShardGroups::split(ranks, 0), kNumels, bucket);
    const auto own =
        shards.reduce_scatter(given[static_cast<size_t>(ranks->rank())], torch::kFloat);
    std::vector<Tensor> whole;
    for (size_t i = 0; i < kNumels.size(); ++i) {
      const FlatShards::Range range = shards.own(i);
      EXPECT_TRUE(own[i].equal(sums[i].slice(0, range.begin, range.end))) << i;
      whole.push_back(i == 1 ? Tensor() : torch::zeros({kNumels[i]}));  // 1: nobody wants it
    }
    shards.all_gather(own, whole);
    for (size_t i = 0; i < kNumels.size(); ++i) {
      if (whole[i].defined()) {
        EXPECT_TRUE(whole[i].equal(sums[i])) << i;
      }
    }
  });
}

// 3 ranks: ((0 + 1) + 2) is the tree and the order of the loop above.
INSTANTIATE_TEST_SUITE_P(Sizes, FlatShardsOf,
                         testing::Values(std::pair{1, 1 << 20}, std::pair{2, 1 << 20},
                                         std::pair{3, 1 << 20}, std::pair{3, 1}));

TEST(FlatShards, Bf16TrafficIsSummedInFp32) {
  test::with_ranks(2, [](const std::shared_ptr<Ranks>& ranks) {
    FlatShards shards(ShardGroups::split(ranks, 0), {2048});
    // 1 + 1/256 needs nine bits of mantissa: bf16 has eight.
    const float value = ranks->rank() == 0 ? 1.0F : 1.0F / 256;
    const auto own = shards.reduce_scatter({torch::full({2048}, value)}, torch::kBFloat16);
    EXPECT_EQ(own[0].scalar_type(), torch::kFloat);
    EXPECT_TRUE(own[0].equal(torch::full({1024}, 1.0F + 1.0F / 256)));
  });
}

}  // namespace
}  // namespace streamo::parallel
