// Two autograd functions that save less than LibTorch would: neither silu(gate) nor, in large
// layers, silu(gate) * up is kept for the backward pass.
#include "nn/swiglu.h"

#include <ATen/Parallel.h>

#include <utility>

#include "nn/kernels/block_kernels.h"
#include "nn/kernels/product.h"
#include "nn/kernels/row_kernels.h"

namespace streamo::nn {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

constexpr int64_t kVectorsPerTask = 4096;

template <typename T>
T* data(const Tensor& tensor) {
  return static_cast<T*>(tensor.data_ptr());
}

// Calls work(first number, count) for all of `numbers`, in whole vectors.
template <typename Work>
void for_vectors(int64_t numbers, const Work& work) {
  at::parallel_for(0, numbers / rows::kLanes, kVectorsPerTask, [&](int64_t begin, int64_t end) {
    work(begin * rows::kLanes, (end - begin) * rows::kLanes);
  });
}

template <typename T>
Tensor multiply_in_one_pass(const Tensor& gate, const Tensor& up) {
  const Tensor y = at::empty_like(gate);
  for_vectors(gate.numel(), [&](int64_t at, int64_t count) {
    rows::silu_multiply(data<T>(gate) + at, data<T>(up) + at, count, data<T>(y) + at);
  });
  return y;
}

template <typename T>
std::pair<Tensor, Tensor> gradients_in_one_pass(const Tensor& grad, const Tensor& gate,
                                                const Tensor& up) {
  std::pair<Tensor, Tensor> result{at::empty_like(gate), at::empty_like(up)};
  for_vectors(gate.numel(), [&](int64_t at, int64_t count) {
    rows::silu_multiply_backward(data<T>(grad) + at, data<T>(gate) + at, data<T>(up) + at, count,
                                 data<T>(result.first) + at, data<T>(result.second) + at);
  });
  return result;
}

// Whether the kernels of row_kernels.h can take these: LibTorch's operators take four passes.
bool has_one_pass(const Tensor& gate, const Tensor& up) {
  static const bool available = blocks::machine_has_avx512();
  const auto type = gate.scalar_type();
  return available && gate.is_cpu() && (type == torch::kFloat || type == torch::kBFloat16) &&
         up.scalar_type() == type && gate.sizes() == up.sizes() && gate.is_contiguous() &&
         up.is_contiguous() && gate.numel() % rows::kLanes == 0;
}

Tensor silu_times(const Tensor& gate, const Tensor& up, bool one_pass) {
  if (!one_pass) return at::silu(gate).mul_(up);
  return gate.scalar_type() == torch::kFloat ? multiply_in_one_pass<float>(gate, up)
                                             : multiply_in_one_pass<rows::Bits>(gate, up);
}

std::pair<Tensor, Tensor> silu_times_backward(const Tensor& grad, const Tensor& gate,
                                              const Tensor& up, bool one_pass) {
  if (!one_pass) return {at::silu_backward(grad * up, gate), at::silu(gate).mul_(grad)};
  const Tensor dense = grad.contiguous();
  return gate.scalar_type() == torch::kFloat ? gradients_in_one_pass<float>(dense, gate, up)
                                             : gradients_in_one_pass<rows::Bits>(dense, gate, up);
}

// Without this, autograd keeps silu(gate) as well: a quarter of all activations of a decoder layer.
// In fp32 by LibTorch's operators, whose last bits small models keep.
struct SiluMultiply : torch::autograd::Function<SiluMultiply> {
  static bool one_pass(const Tensor& gate, const Tensor& up) {
    return gate.scalar_type() == torch::kBFloat16 && has_one_pass(gate, up);
  }

  static Tensor forward(AutogradContext* ctx, const Tensor& gate, const Tensor& up) {
    ctx->save_for_backward({gate, up});
    return silu_times(gate, up, one_pass(gate, up));
  }

  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const tensor_list saved = ctx->get_saved_variables();
    auto [gate, up] =
        silu_times_backward(grads[0], saved[0], saved[1], one_pass(saved[0], saved[1]));
    return {std::move(gate), std::move(up)};
  }
};

// down(silu(gate) * up), which makes the product of gate and up again in the backward pass instead
// of keeping it: one pass over memory for another quarter of the activations. An empty bias stands
// for none.
struct GatedDown : torch::autograd::Function<GatedDown> {
  static Tensor forward(AutogradContext* ctx, const Tensor& gate, const Tensor& up,
                        const Tensor& weight, const Tensor& bias) {
    ctx->save_for_backward({gate, up, weight});
    return product(silu_times(gate, up, true), weight, bias.numel() > 0 ? bias : Tensor());
  }

  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const tensor_list saved = ctx->get_saved_variables();
    const Tensor &gate = saved[0], &up = saved[1], &weight = saved[2], &grad = grads[0];
    tensor_list result(4);
    if (ctx->needs_input_grad(2)) {
      result[2] = product(grad.t(), silu_times(gate, up, true).t());
    }
    if (ctx->needs_input_grad(3)) result[3] = grad.sum(0);
    if (ctx->needs_input_grad(0) || ctx->needs_input_grad(1)) {
      std::tie(result[0], result[1]) =
          silu_times_backward(product(grad, weight.t()), gate, up, true);
    }
    return result;
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
  const Tensor gate = gate_proj_->forward(x), up = up_proj_->forward(x);
  const Tensor &weight = down_proj_->weight, &bias = down_proj_->bias;
  const bool large =
      gate.scalar_type() == torch::kBFloat16 || is_large_product(gate, weight.numel());
  if (large && gate.dim() == 2 && has_one_pass(gate, up)) {
    return GatedDown::apply(gate, up, weight,
                            bias.defined() ? bias : at::empty({0}, weight.options()));
  }
  return down_proj_->forward(silu_multiply(gate, up));
}

}  // namespace streamo::nn
