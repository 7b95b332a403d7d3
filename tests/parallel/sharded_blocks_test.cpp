// Blocks whose weights are sharded. Truth: the same model, whole, on one rank; fp32, bit for
// bit (a sum over two ranks has one order). The ranks are threads.
#include "parallel/sharded_blocks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

#include "model/hf_directory.h"
#include "parallel/small_model.h"
#include "support/with_ranks.h"

namespace streamo::parallel {
namespace {

using torch::Tensor;

Tensor sum_of(const Tensor& one, const Tensor& other) {
  if (!one.defined()) return other;
  return other.defined() ? one + other : one;
}

// By micro-batch and parameter: the sum over both ranks.
std::vector<std::vector<Tensor>> true_gradients(bool recomputed, bool frozen_vision) {
  std::vector<std::vector<Tensor>> sums(2);
  for (int number = 0; number < 2; ++number) {
    for (int rank = 0; rank < 2; ++rank) {
      SmallModel model(recomputed);
      for (size_t i = 0; i < 2; ++i) {
        for (Tensor& parameter : model.layers[i]->parameters())
          parameter.requires_grad_(!frozen_vision);
      }
      compute(model, rank, number);
      auto& sum = sums[static_cast<size_t>(number)];
      size_t next = 0;
      for (const Tensor& parameter : model.parameters()) {
        if (rank == 0) sum.emplace_back();
        sum[next] = sum_of(sum[next], parameter.grad());
        ++next;
      }
    }
  }
  return sums;
}

int64_t bytes_in_blocks(const SmallModel& model) {
  int64_t bytes = 0;
  for (const auto& layer : model.layers) {
    for (const Tensor& parameter : layer->parameters())
      bytes += static_cast<int64_t>(parameter.storage().nbytes());
  }
  return bytes;
}

class ShardedBlocksOf : public testing::TestWithParam<std::pair<bool, bool>> {};

TEST_P(ShardedBlocksOf, SumsAreThoseOfWholeModels) {
  const auto [recomputed, frozen_vision] = GetParam();
  const auto expected = true_gradients(recomputed, frozen_vision);
  test::with_ranks(2, [&, recomputed = recomputed,
                       frozen_vision = frozen_vision](const std::shared_ptr<Ranks>& ranks) {
    // The seed of random weights is the process's; the ranks are threads of it.
    static std::mutex one_at_a_time;
    std::unique_ptr<SmallModel> model;
    {
      const std::lock_guard lock(one_at_a_time);
      model = std::make_unique<SmallModel>(recomputed);
    }
    for (size_t i = 0; i < 2; ++i) {
      for (Tensor& parameter : model->layers[i]->parameters())
        parameter.requires_grad_(!frozen_vision);
    }
    ShardedBlocks blocks(*ranks, ShardGroups::split(ranks, 0), *model);
    EXPECT_EQ(bytes_in_blocks(*model), 0);
    for (int number = 0; number < 2; ++number) {
      compute(*model, ranks->rank(), number);
      blocks.end_micro_batch();
      EXPECT_EQ(bytes_in_blocks(*model), 0);
      size_t next = 0;
      for (const Tensor& parameter : model->parameters()) {
        const Tensor& truth = expected[static_cast<size_t>(number)][next++];
        const Tensor own = blocks.local_shard(parameter);
        if (!own.defined()) continue;  // of no block
        EXPECT_FALSE(parameter.grad().defined());
        const auto [sum, on_this_rank] = blocks.pop_grad(parameter);
        if (!parameter.requires_grad()) {
          EXPECT_FALSE(sum.defined());
          continue;
        }
        ASSERT_TRUE(sum.defined());
        const int64_t begin = ranks->rank() == 0 ? 0 : parameter.numel() - own.numel();
        const Tensor expected_part = truth.defined()
                                         ? truth.view({-1}).narrow(0, begin, own.numel())
                                         : torch::zeros_like(own);
        EXPECT_TRUE(sum.equal(expected_part)) << "micro-batch " << number;
        EXPECT_TRUE(!on_this_rank || truth.defined());
      }
    }
  });
}

INSTANTIATE_TEST_SUITE_P(All, ShardedBlocksOf,
                         testing::Values(std::pair{false, false}, std::pair{true, false},
                                         std::pair{false, true}, std::pair{true, true}));

TEST(ShardedBlocks, UnshardToTheValuesOfTheShards) {
  SmallModel truth(false), first(false), second(false);
  test::with_ranks(2, [&](const std::shared_ptr<Ranks>& ranks) {
    SmallModel& model = ranks->first() ? first : second;
    const int64_t all = bytes_in_blocks(model);
    ShardedBlocks blocks(*ranks, ShardGroups::split(ranks, 0), model);
    const auto expect_values = [&](double shift) {
      for (size_t i = 0; i < model.layers.size(); ++i)
        EXPECT_TRUE(model.layers[i]->weight.equal(truth.layers[i]->weight + shift)) << i;
    };
    blocks.unshard(/*on_all_ranks=*/false);
    EXPECT_EQ(bytes_in_blocks(model), ranks->first() ? all : 0);
    if (ranks->first()) expect_values(0);
    blocks.reshard();
    EXPECT_EQ(bytes_in_blocks(model), 0);

    std::map<std::string, torch::Tensor> weights = model::named_weights(model);
    const size_t of_blocks = 2 * model.layers.size(), named = weights.size();  // weight and bias
    blocks.gather_to_host(weights);
    EXPECT_EQ(bytes_in_blocks(model), 0);
    EXPECT_EQ(weights.size(), ranks->first() ? named : named - of_blocks);
    const auto expected = model::named_weights(truth);
    for (const auto& [name, weight] : weights) EXPECT_TRUE(weight.equal(expected.at(name))) << name;

    const torch::NoGradGuard no_grad;
    // A step of the optimizer works on the shards.
    for (const auto& layer : model.layers) blocks.local_shard(layer->weight).add_(1);
    blocks.unshard(/*on_all_ranks=*/true);
    for (size_t i = 0; i < model.layers.size(); ++i)
      EXPECT_TRUE(model.layers[i]->weight.equal(truth.layers[i]->weight + 1)) << i;
    blocks.reshard();
  });
}

}  // namespace
}  // namespace streamo::parallel
