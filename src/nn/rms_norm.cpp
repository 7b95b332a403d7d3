// Three paths: fused fp32, fused bf16 (AVX-512), and composed operators. Row sums are split in a
// fixed way, so results do not depend on the number of threads.
#include "nn/rms_norm.h"

#include <ATen/Parallel.h>

#include <cmath>

#include "nn/kernels/block_kernels.h"
#include "nn/kernels/row_kernels.h"

namespace streamo::nn {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

constexpr int64_t kRowsPerTask = 64;

float dot(const float* a, const float* b, int64_t n) {
  float lanes[8] = {};  // several sums at once let the compiler vectorise and round less than one
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int64_t j = 0; j < 8; ++j) lanes[j] += a[i + j] * b[i + j];
  }
  float sum = 0;
  for (; i < n; ++i) sum += a[i] * b[i];
  for (float lane : lanes) sum += lane;
  return sum;
}

// y = weight * x * r with r = 1 / sqrt(mean(x^2) + eps); returns r of each row.
Tensor forward_rows(const Tensor& x, const Tensor& weight, double eps, Tensor& y) {
  const int64_t size = x.size(-1), rows = x.numel() / size;
  Tensor inverse = at::empty({rows}, x.options());
  const float *px = x.const_data_ptr<float>(), *pw = weight.const_data_ptr<float>();
  float *py = y.mutable_data_ptr<float>(), *pr = inverse.mutable_data_ptr<float>();
  at::parallel_for(0, rows, kRowsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* in = px + row * size;
      float* out = py + row * size;
      const float mean = dot(in, in, size) / static_cast<float>(size);
      const float r = 1.0F / std::sqrt(mean + static_cast<float>(eps));
      for (int64_t i = 0; i < size; ++i) out[i] = pw[i] * (in[i] * r);
      pr[row] = r;
    }
  });
  return inverse;
}

// With g the gradient of y and u = g * weight: dx = r * (u - x * r^2 * mean(u * x)), dweight = sum
// g * x * r.
void backward_rows(const Tensor& g, const Tensor& x, const Tensor& weight, const Tensor& inverse,
                   Tensor& dx, Tensor& dweight) {
  const int64_t size = x.size(-1), rows = x.numel() / size;
  const float *pg = g.const_data_ptr<float>(), *px = x.const_data_ptr<float>();
  const float *pw = weight.const_data_ptr<float>(), *pr = inverse.const_data_ptr<float>();
  float* pdx = dx.mutable_data_ptr<float>();
  // A fixed split, not one by thread: the sum over rows is then the same for any number of threads.
  const int64_t tasks = (rows + kRowsPerTask - 1) / kRowsPerTask;
  Tensor partial = at::zeros({tasks, size}, x.options());
  float* pp = partial.mutable_data_ptr<float>();
  at::parallel_for(0, tasks, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> u(static_cast<size_t>(size));
    for (int64_t row = begin * kRowsPerTask; row < std::min(end * kRowsPerTask, rows); ++row) {
      const float *grad = pg + row * size, *in = px + row * size;
      float *out = pdx + row * size, *sum = pp + row / kRowsPerTask * size;
      const float r = pr[row];
      for (int64_t i = 0; i < size; ++i) u[static_cast<size_t>(i)] = grad[i] * pw[i];
      const float shift = dot(u.data(), in, size) / static_cast<float>(size) * r * r;
      for (int64_t i = 0; i < size; ++i) {
        out[i] = r * (u[static_cast<size_t>(i)] - in[i] * shift);
        sum[i] += grad[i] * (in[i] * r);
      }
    }
  });
  dweight = partial.sum(0);
}

// One pass over memory instead of the six of the composed operators. CPU, fp32.
struct FusedRmsNorm : torch::autograd::Function<FusedRmsNorm> {
  static Tensor forward(AutogradContext* ctx, const Tensor& input, const Tensor& weight,
                        double eps) {
    const Tensor x = input.contiguous();
    Tensor y = at::empty_like(x);
    const Tensor inverse = forward_rows(x, weight, eps, y);
    ctx->save_for_backward({x, weight, inverse});
    return y;
  }

  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const tensor_list saved = ctx->get_saved_variables();
    Tensor dx = at::empty_like(saved[0]), dweight;
    backward_rows(grads[0].contiguous(), saved[0], saved[1], saved[2], dx, dweight);
    return {dx, dweight, Tensor()};
  }
};

const rows::Bits* bits(const Tensor& tensor) {
  return static_cast<const rows::Bits*>(tensor.const_data_ptr());
}
rows::Bits* mutable_bits(const Tensor& tensor) {
  return static_cast<rows::Bits*>(tensor.data_ptr());
}

// The same in bf16, rounding as the composed operators do. CPU with AVX-512.
struct FusedRmsNorm16 : torch::autograd::Function<FusedRmsNorm16> {
  static Tensor forward(AutogradContext* ctx, const Tensor& input, const Tensor& weight,
                        double eps) {
    const Tensor x = input.contiguous(), w = weight.contiguous();
    const int64_t size = x.size(-1), count = x.numel() / size;
    Tensor y = at::empty_like(x), inverse = at::empty({count}, x.options().dtype(torch::kFloat));
    at::parallel_for(0, count, kRowsPerTask, [&](int64_t begin, int64_t end) {
      rows::rms_norm(bits(x) + begin * size, bits(w), static_cast<float>(eps), end - begin, size,
                     mutable_bits(y) + begin * size, inverse.data_ptr<float>() + begin);
    });
    ctx->save_for_backward({x, w, inverse});
    return y;
  }

  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const tensor_list saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &inverse = saved[2], grad = grads[0].contiguous();
    const int64_t size = x.size(-1), count = x.numel() / size;
    const int64_t tasks = (count + kRowsPerTask - 1) / kRowsPerTask;
    Tensor dx = at::empty_like(x), partial = at::zeros({tasks, size}, inverse.options());
    at::parallel_for(0, tasks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t row = task * kRowsPerTask, number = std::min(kRowsPerTask, count - row);
        rows::rms_norm_backward(bits(grad) + row * size, bits(x) + row * size, bits(saved[1]),
                                inverse.const_data_ptr<float>() + row, number, size,
                                mutable_bits(dx) + row * size,
                                partial.data_ptr<float>() + task * size);
      }
    });
    return {dx, partial.sum(0), Tensor()};
  }
};

bool runs_in_16_bit(const Tensor& x, const Tensor& weight) {
  static const bool available = blocks::machine_has_avx512();
  return available && x.is_cpu() && x.scalar_type() == torch::kBFloat16 &&
         weight.scalar_type() == torch::kBFloat16 && x.size(-1) % rows::kLanes == 0;
}

}  // namespace

Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps) {
  if (x.is_cpu() && x.scalar_type() == torch::kFloat && weight.scalar_type() == torch::kFloat) {
    return FusedRmsNorm::apply(x, weight, eps);
  }
  if (runs_in_16_bit(x, weight)) return FusedRmsNorm16::apply(x, weight, eps);
  if (x.is_cuda()) {  // without its weight, which it would multiply in before the first rounding
    return weight * std::get<0>(at::_fused_rms_norm(x, {x.size(-1)}, std::nullopt, eps));
  }
  const Tensor wide = x.to(torch::kFloat);
  return weight * (wide * at::rsqrt(wide.pow(2).mean(-1, true) + eps)).to(x.scalar_type());
}

RmsNorm::RmsNorm(int64_t size, double eps) : eps_(eps) {
  weight = register_parameter("weight", torch::empty({size}));
}

}  // namespace streamo::nn
