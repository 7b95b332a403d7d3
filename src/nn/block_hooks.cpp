// The backward hook is an identity autograd function behind the block, which runs before the
// block's own backward.
#include "streamo/nn/block_hooks.h"

namespace streamo::nn {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

// The identity, whose backward is the first thing to happen in the backward pass of the block that
// made x.
struct TellBackward : torch::autograd::Function<TellBackward> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, int64_t hooks, int64_t number) {
    ctx->saved_data["hooks"] = hooks;
    ctx->saved_data["number"] = number;
    return x.view_as(x);
  }

  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    // An address: the dispatcher's values hold no pointers of ours.
    auto* hooks = reinterpret_cast<BlockHooks*>(ctx->saved_data["hooks"].toInt());  // NOLINT
    hooks->before_backward(static_cast<size_t>(ctx->saved_data["number"].toInt()));
    return {grads[0], Tensor(), Tensor()};
  }
};

}  // namespace

Tensor run_block(const Block& block, const Tensor& x, const std::vector<Tensor>& parameters,
                 bool recomputed, BlockHooks* hooks, size_t number) {
  if (hooks != nullptr) hooks->before_forward(number);
  Tensor y =
      recomputed && torch::GradMode::is_enabled() ? recompute(block, x, parameters) : block(x);
  if (hooks == nullptr) return y;
  hooks->after_forward(number);
  return TellBackward::apply(y, reinterpret_cast<int64_t>(hooks), static_cast<int64_t>(number));
}

}  // namespace streamo::nn
