#include "streamo/nn/linear.h"

namespace streamo::nn {

Linear::Linear(int64_t inputs, int64_t outputs, bool with_bias) {
  weight = register_parameter("weight", torch::empty({outputs, inputs}));
  if (with_bias) bias = register_parameter("bias", torch::empty({outputs}));
}

torch::Tensor Linear::forward(const torch::Tensor& x) const {
  return at::linear(x, weight, bias);
}

}  // namespace streamo::nn
