#include "streamo/nn/swiglu.h"

namespace streamo::nn {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

// Without this, autograd keeps silu(gate) as well: a quarter of all activations of a decoder layer.
struct SiluMultiply : torch::autograd::Function<SiluMultiply> {
  static Tensor forward(AutogradContext* ctx, const Tensor& gate, const Tensor& up) {
    ctx->save_for_backward({gate, up});
    return at::silu(gate).mul_(up);
  }

  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const tensor_list saved = ctx->get_saved_variables();
    const Tensor &gate = saved[0], &up = saved[1], &grad = grads[0];
    return {at::silu_backward(grad * up, gate), at::silu(gate).mul_(grad)};
  }
};

}  // namespace

Tensor silu_multiply(const Tensor& gate, const Tensor& up) {
  return SiluMultiply::apply(gate, up);
}

SwigluMlp::SwigluMlp(int64_t hidden, int64_t intermediate, bool with_bias) {
  gate_proj_ =
      register_module("gate_proj", std::make_shared<Linear>(hidden, intermediate, with_bias));
  up_proj_ = register_module("up_proj", std::make_shared<Linear>(hidden, intermediate, with_bias));
  down_proj_ =
      register_module("down_proj", std::make_shared<Linear>(intermediate, hidden, with_bias));
}

Tensor SwigluMlp::forward(const Tensor& x) const {
  return down_proj_->forward(silu_multiply(gate_proj_->forward(x), up_proj_->forward(x)));
}

}  // namespace streamo::nn
