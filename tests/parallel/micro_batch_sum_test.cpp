// Sums of micro-batches. Truth: the bracketing written out, fp32, bit for bit.
#include "parallel/micro_batch_sum.h"

#include <gtest/gtest.h>

namespace streamo::parallel {
namespace {

using torch::Tensor;

// Sums of these differ with the bracketing.
std::vector<Tensor> summands(int count) {
  torch::manual_seed(7);
  std::vector<Tensor> summands;
  for (int i = 0; i < count; ++i) summands.push_back(torch::randn({4096}) * (1 + 100 * (i % 3)));
  return summands;
}

Tensor sum_of(SumOrder order, const std::vector<Tensor>& x, size_t begin, size_t end) {
  MicroBatchSum sum(order);
  for (size_t i = begin; i < end; ++i) sum.add({x[i].clone()});
  return sum.take()[0];
}

TEST(MicroBatchSum, AddsInTheOrderAskedFor) {
  const auto x = summands(7);
  const Tensor tree = ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + x[6]);
  const Tensor sequential = (((((x[0] + x[1]) + x[2]) + x[3]) + x[4]) + x[5]) + x[6];
  EXPECT_FALSE(tree.equal(sequential)) << "the summands cannot tell";
  EXPECT_TRUE(sum_of(SumOrder::kTree, x, 0, 7).equal(tree));
  EXPECT_TRUE(sum_of(SumOrder::kSequential, x, 0, 7).equal(sequential));
}

TEST(MicroBatchSum, HalvesOfATreeAreItsSubtrees) {  // what ranks rely on
  const auto x = summands(8);
  const auto tree = [&](size_t begin, size_t end) {
    return sum_of(SumOrder::kTree, x, begin, end);
  };
  EXPECT_TRUE((tree(0, 4) + tree(4, 8)).equal(tree(0, 8)));
  const Tensor quarters = (tree(0, 2) + tree(2, 4)) + (tree(4, 6) + tree(6, 8));
  EXPECT_TRUE(quarters.equal(tree(0, 8)));
}

TEST(MicroBatchSum, WhatIsMissingAddsNothing) {
  const auto x = summands(3);
  for (const SumOrder order : {SumOrder::kSequential, SumOrder::kTree}) {
    MicroBatchSum sums(order);
    sums.add({x[0].clone(), Tensor()});
    sums.add({Tensor(), x[1].clone()});
    sums.add({x[2].clone(), Tensor()});
    const auto sum = sums.take();
    EXPECT_TRUE(sum[0].equal(x[0] + x[2]));
    EXPECT_TRUE(sum[1].equal(x[1]));
    EXPECT_TRUE(sums.take().empty());
  }
}

}  // namespace
}  // namespace streamo::parallel
