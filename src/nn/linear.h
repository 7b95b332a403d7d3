// A linear map whose weights start uninitialised: they come from a file or from initialize_weights.
//
// torch::nn::Linear draws random numbers for every weight on construction, from a global generator;
// for billions of parameters that is a minute spent on values nobody uses.
#pragma once

#include <torch/torch.h>

namespace streamo::nn {

class Linear : public torch::nn::Module {
 public:
  Linear(int64_t inputs, int64_t outputs, bool with_bias);

  torch::Tensor forward(const torch::Tensor& x) const;  // [..., inputs] -> [..., outputs]

  torch::Tensor weight;  // [outputs, inputs]
  torch::Tensor bias;    // [outputs], undefined without bias
};

}  // namespace streamo::nn
