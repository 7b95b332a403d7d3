// Root-mean-square normalisation: y = weight * (x / sqrt(mean(x^2) + eps)). Zhang, Sennrich, arXiv
// 1910.07467.
//
// In a 16-bit type it rounds twice, as the models were trained: the quotient is computed in fp32
// and rounded to the type of x, then multiplied by the weight in that type.
#pragma once

#include <torch/torch.h>

namespace streamo::nn {

// x [..., H], weight [H] of the same type.
torch::Tensor rms_norm(const torch::Tensor& x, const torch::Tensor& weight, double eps);

class RmsNorm : public torch::nn::Module {
 public:
  RmsNorm(int64_t size, double eps);

  torch::Tensor forward(const torch::Tensor& x) const { return rms_norm(x, weight, eps_); }

  torch::Tensor weight;  // [H]

 private:
  double eps_;
};

}  // namespace streamo::nn
