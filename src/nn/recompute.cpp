// An autograd function whose backward runs the block again with gradients enabled and
// differentiates that. The block has no dropout, so no RNG state is saved.
#include "streamo/nn/recompute.h"

namespace streamo::nn {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

struct HeldBlock : torch::CustomClassHolder {
  explicit HeldBlock(Block b) : block(std::move(b)) {}
  Block block;
};

struct Recomputed : torch::autograd::Function<Recomputed> {
  static Tensor forward(AutogradContext* ctx, const Block& block, const Tensor& x,
                        at::TensorList parameters) {
    tensor_list saved{
        x};  // the parameters too, so that a change before the backward pass is caught
    saved.insert(saved.end(), parameters.begin(), parameters.end());
    ctx->save_for_backward(saved);
    ctx->saved_data["block"] = c10::IValue::make_capsule(c10::make_intrusive<HeldBlock>(block));
    return block(x);  // runs without gradient: Function::apply switches it off
  }

  // The parameters are inputs of this function, so their gradients are returned to the outer pass
  // and not accumulated by an inner one: what waits for a parameter's accumulation sees it once.
  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const tensor_list saved = ctx->get_saved_variables();
    const auto holder =
        c10::static_intrusive_pointer_cast<HeldBlock>(ctx->saved_data["block"].toCapsule());
    tensor_list inputs, result{Tensor()};  // the block itself has no gradient
    Tensor x = saved[0];
    Tensor output;
    {
      torch::AutoGradMode with_grad(true);
      x = x.detach().requires_grad_(ctx->needs_input_grad(0));
      output = holder->block(x);
    }
    for (size_t i = 0; i < saved.size(); ++i) {
      const Tensor& input = i == 0 ? x : saved[i];
      if (input.requires_grad()) inputs.push_back(input);
    }
    const tensor_list found = torch::autograd::grad({output}, inputs, {grads[0]}, std::nullopt,
                                                    false, /*allow_unused=*/true);
    for (size_t i = 0, next = 0; i < saved.size(); ++i) {
      const Tensor& input = i == 0 ? x : saved[i];
      result.push_back(input.requires_grad() ? found[next++] : Tensor());
    }
    return result;
  }
};

}  // namespace

Tensor recompute(const Block& block, const Tensor& x, const std::vector<Tensor>& parameters) {
  if (!torch::GradMode::is_enabled()) return block(x);
  return Recomputed::apply(block, x, at::TensorList(parameters));
}

}  // namespace streamo::nn
