// Gradient checkpointing (Chen et al., arXiv 1604.06174): a block keeps only its input and is run
// again in the backward pass.
#pragma once

#include <torch/torch.h>

#include <functional>
#include <vector>

namespace streamo::nn {

using Block = std::function<torch::Tensor(const torch::Tensor&)>;

// block(x), with the intermediate results dropped. `parameters` must name every parameter the block
// uses, or it gets no gradient. Values and gradients are bit-equal to a plain call.
torch::Tensor recompute(const Block& block, const torch::Tensor& x,
                        const std::vector<torch::Tensor>& parameters);

}  // namespace streamo::nn
