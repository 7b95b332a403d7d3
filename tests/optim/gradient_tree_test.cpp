// Sums in a tree. Truth: the bracketing written out, fp32, bit for bit.
#include "optim/gradient_tree.h"

#include <gtest/gtest.h>

namespace streamo::optim {
namespace {

using torch::Tensor;

// Sums of these differ with the bracketing.
std::vector<Tensor> leaves(int count) {
  torch::manual_seed(7);
  std::vector<Tensor> leaves;
  for (int i = 0; i < count; ++i) leaves.push_back(torch::randn({4096}) * (1 + 100 * (i % 3)));
  return leaves;
}

Tensor sum_of(const std::vector<Tensor>& leaves, size_t begin, size_t end) {
  GradientTree tree;
  for (size_t i = begin; i < end; ++i) tree.add({leaves[i].clone()});
  return tree.take()[0];
}

TEST(GradientTree, AddsInPairsOfPairs) {
  const auto x = leaves(7);
  const Tensor expected = ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + x[6]);
  EXPECT_TRUE(sum_of(x, 0, 7).equal(expected));
  EXPECT_FALSE((((((x[0] + x[1]) + x[2]) + x[3]) + x[4]) + x[5] + x[6]).equal(expected))
      << "the leaves cannot tell";
}

TEST(GradientTree, HalvesAreSubtreesOfTheWhole) {  // what ranks rely on
  const auto x = leaves(8);
  EXPECT_TRUE((sum_of(x, 0, 4) + sum_of(x, 4, 8)).equal(sum_of(x, 0, 8)));
  const Tensor quarters = (sum_of(x, 0, 2) + sum_of(x, 2, 4)) + (sum_of(x, 4, 6) + sum_of(x, 6, 8));
  EXPECT_TRUE(quarters.equal(sum_of(x, 0, 8)));
}

TEST(GradientTree, WhatIsMissingAddsNothing) {
  const auto x = leaves(3);
  GradientTree tree;
  tree.add({x[0].clone(), Tensor()});
  tree.add({Tensor(), x[1].clone()});
  tree.add({x[2].clone(), Tensor()});
  const auto sum = tree.take();
  EXPECT_TRUE(sum[0].equal(x[0] + x[2]));
  EXPECT_TRUE(sum[1].equal(x[1]));
  EXPECT_TRUE(tree.take().empty());
}

}  // namespace
}  // namespace streamo::optim
