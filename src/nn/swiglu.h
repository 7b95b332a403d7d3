// Gated feed-forward layer: down(silu(gate(x)) * up(x)). Shazeer, arXiv 2002.05202.
#pragma once

#include <torch/torch.h>

#include <memory>

#include "nn/linear.h"

namespace streamo::nn {

// silu(gate) * up. Keeps only its two inputs for the backward pass.
torch::Tensor silu_multiply(const torch::Tensor& gate, const torch::Tensor& up);

class SwigluMlp : public torch::nn::Module {
 public:
  SwigluMlp(int64_t hidden, int64_t intermediate, bool with_bias);

  torch::Tensor forward(const torch::Tensor& x) const;  // [..., hidden] -> [..., hidden]

 private:
  std::shared_ptr<Linear> gate_proj_, up_proj_, down_proj_;
};

}  // namespace streamo::nn
