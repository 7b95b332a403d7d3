// An autograd function for large fp32 products on the CPU; everything else is at::linear.
#include "nn/linear.h"

#include "nn/kernels/product.h"

namespace streamo::nn {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

// y = x w^T + b for large fp32 matrices on the CPU; `bias` may be undefined, which autograd does
// not take as an input, so it stands for "no bias" as an empty tensor.
struct LargeLinear : torch::autograd::Function<LargeLinear> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& weight,
                        const Tensor& bias) {
    ctx->save_for_backward({x, weight});
    return product(x, weight, bias.numel() > 0 ? bias : Tensor());
  }

  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const tensor_list saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], &grad = grads[0];
    return {ctx->needs_input_grad(0) ? product(grad, weight.t()) : Tensor(),
            ctx->needs_input_grad(1) ? product(grad.t(), x.t()) : Tensor(),
            ctx->needs_input_grad(2) ? grad.sum(0) : Tensor()};
  }
};

}  // namespace

Linear::Linear(int64_t inputs, int64_t outputs, bool with_bias) {
  weight = register_parameter("weight", torch::empty({outputs, inputs}));
  if (with_bias) bias = register_parameter("bias", torch::empty({outputs}));
}

torch::Tensor Linear::forward(const torch::Tensor& x) const {
  if (x.dim() == 2 && is_large_product(x, weight.numel())) {
    return LargeLinear::apply(x, weight, bias.defined() ? bias : at::empty({0}, weight.options()));
  }
  return at::linear(x, weight, bias);
}

}  // namespace streamo::nn
