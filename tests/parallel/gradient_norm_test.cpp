// The norm of gradients in shards. Truth: the norm of the whole tensors, in double; and, in the
// fixed order, the bits that one rank has. fp32. The ranks are threads.
#include "parallel/gradient_norm.h"

#include <gtest/gtest.h>

#include "support/with_ranks.h"

namespace streamo::parallel {
namespace {

using torch::Tensor;

// Of several granules, of a part of one, and one without a gradient.
const std::vector<int64_t> kNumels = {5000, 3, 1024, 2048};

std::vector<Tensor> whole_gradients() {
  torch::Generator random = at::detail::createCPUGenerator(5);
  std::vector<Tensor> gradients;
  for (const int64_t numel : kNumels) gradients.push_back(torch::randn({numel}, random));
  gradients[2].reset();
  return gradients;
}

// This rank's shards of them.
std::vector<Tensor> shards_of(std::vector<Tensor> gradients, const FlatShards& shards) {
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (gradients[i].defined())
      gradients[i] = gradients[i].narrow(0, shards.own(i).begin, shards.own(i).size());
  }
  return gradients;
}

double true_norm() {
  double squares = 0;
  for (const Tensor& gradient : whole_gradients()) {
    if (gradient.defined()) squares += gradient.to(torch::kDouble).square().sum().item<double>();
  }
  return std::sqrt(squares);
}

TEST(GradNorm, IsThatOfTheWholeTensors) {
  for (const int size : {1, 2, 4}) {
    test::with_ranks(size, [](const std::shared_ptr<Ranks>& ranks) {
      const FlatShards shards(ShardGroups::split(ranks, 0), kNumels);
      const std::vector<Tensor> owned = shards_of(whole_gradients(), shards);
      EXPECT_NEAR(grad_norm(owned, shards) / true_norm(), 1, 1e-6);
      EXPECT_NEAR(grad_norm_in_fixed_order(owned, shards) / true_norm(), 1, 1e-12);
    });
  }
}

TEST(GradNorm, InFixedOrderHasTheSameBitsOnAnyNumberOfRanks) {
  const FlatShards one_shard(ShardGroups::split(std::make_shared<Ranks>(), 0), kNumels);
  const double alone = grad_norm_in_fixed_order(whole_gradients(), one_shard);
  for (const int size : {2, 3, 4}) {
    test::with_ranks(size, [&](const std::shared_ptr<Ranks>& ranks) {
      const FlatShards shards(ShardGroups::split(ranks, 0), kNumels);
      EXPECT_EQ(grad_norm_in_fixed_order(shards_of(whole_gradients(), shards), shards), alone);
    });
  }
}

TEST(GradNorm, OfNothingIsZero) {
  const FlatShards shards(ShardGroups::split(std::make_shared<Ranks>(), 0), kNumels);
  const std::vector<Tensor> none(kNumels.size());
  EXPECT_EQ(grad_norm(none, shards), 0.0);
  EXPECT_EQ(grad_norm_in_fixed_order(none, shards), 0.0);
}

}  // namespace
}  // namespace streamo::parallel
