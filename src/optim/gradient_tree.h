// Gradients of micro-batches summed in a tree, ((0 + 1) + (2 + 3)) + ..., as they come.
//
// The bracketing depends on their number alone: a rank that has 2^m micro-batches makes a whole
// subtree of what one rank would make of all of them, so the sum over ranks continues it and rounds
// the same.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace streamo::optim {

class GradientTree {
 public:
  using Gradients = std::vector<torch::Tensor>;  // one a parameter; undefined: none

  // The next leaf; its tensors belong to the tree from here on.
  void add(Gradients leaf);
  // The sum of all leaves; empty when there were none. The tree is empty then.
  Gradients take();
  void clear() { subtrees_.clear(); }

 private:
  // Sums of 2^level leaves each, the levels falling: at most one a level, as the bits of a counter.
  std::vector<std::pair<int64_t, Gradients>> subtrees_;
};

}  // namespace streamo::optim
