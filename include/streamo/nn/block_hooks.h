// The repeated blocks of a model tell when their parameters are needed and when no longer, so that
// somebody can keep them in parts, or send gradients while the rest still computes.
#pragma once

#include <torch/torch.h>

#include <cstddef>
#include <vector>

#include "streamo/nn/recompute.h"

namespace streamo::nn {

// Of one forward and backward pass. Blocks are numbered in the order of the forward pass; one that
// has nothing to do (the vision tower's without a picture) is not mentioned.
class BlockHooks {
 public:
  virtual ~BlockHooks() = default;
  virtual void before_forward(size_t block) = 0;
  virtual void after_forward(size_t block) = 0;
  // The blocks behind it have accumulated their parameters' gradients by now.
  virtual void before_backward(size_t block) = 0;
};

// block(x), run again in the backward pass instead of kept if `recomputed`. `hooks` (null: nobody)
// must outlive the backward pass.
torch::Tensor run_block(const Block& block, const torch::Tensor& x,
                        const std::vector<torch::Tensor>& parameters, bool recomputed,
                        BlockHooks* hooks, size_t number);

}  // namespace streamo::nn
