// Tables for vision (rows and columns) and text (M-RoPE: time, height and width sections), and the
// rotation, which needs only the table for its backward.
#include "nn/rotary.h"

#include <ATen/Parallel.h>

#include <vector>

#include "nn/kernels/block_kernels.h"
#include "nn/kernels/row_kernels.h"
#include "streamo/core/error.h"

namespace streamo::nn {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

constexpr double kVisionTheta = 10000.0;

// theta^(-2i / channels), i = 0 .. channels/2 - 1, in fp32 like the reference (its rounding shows
// at position 1000 and beyond).
Tensor inverse_frequencies(int64_t channels, double theta, torch::Device device) {
  const auto options = torch::TensorOptions(torch::kFloat).device(device);
  const Tensor exponent = at::arange(0, channels, 2, options) / static_cast<double>(channels);
  return 1.0 / at::pow(theta, exponent);
}

// Adjacent channels, fp32, on the CPU: one pass over memory. `sign` -1 turns back.
void rotate_rows(const Tensor& x, const RotaryTable& table, float sign, Tensor& y) {
  const int64_t heads = x.size(1), half = x.size(2) / 2;
  const int64_t row_stride = x.stride(0), head_stride = x.stride(1);
  const float* px = x.const_data_ptr<float>();
  const float *pc = table.cos.const_data_ptr<float>(), *ps = table.sin.const_data_ptr<float>();
  float* py = y.mutable_data_ptr<float>();
  at::parallel_for(0, x.size(0), 64, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float *c = pc + row * half, *s = ps + row * half;
      for (int64_t head = 0; head < heads; ++head) {
        const float* in = px + row * row_stride + head * head_stride;
        float* out = py + (row * heads + head) * 2 * half;
        for (int64_t i = 0; i < half; ++i) {
          out[i] = in[i] * c[i] - in[i + half] * (sign * s[i]);
          out[i + half] = in[i + half] * c[i] + in[i] * (sign * s[i]);
        }
      }
    }
  });
}

bool rotates_in_16_bit(const Tensor& x, const RotaryTable& table) {
  static const bool available = blocks::machine_has_avx512();
  const auto type = table.cos.scalar_type();
  return available && x.is_cpu() && x.scalar_type() == torch::kBFloat16 && x.stride(2) == 1 &&
         (type == torch::kBFloat16 || type == torch::kFloat) &&
         x.size(2) % (2 * rows::kLanes) == 0 && table.cos.is_contiguous() &&
         table.sin.is_contiguous();
}

// bf16 with a table of either type, on the CPU: one pass over memory.
template <typename T>
void rotate_rows_16(const Tensor& x, const RotaryTable& table, float sign, Tensor& y) {
  const auto* cos = static_cast<const T*>(table.cos.const_data_ptr());
  const auto* sin = static_cast<const T*>(table.sin.const_data_ptr());
  const auto* from = static_cast<const rows::Bits*>(x.const_data_ptr());
  auto* to = static_cast<rows::Bits*>(y.data_ptr());
  const int64_t heads = x.size(1), half = x.size(2) / 2;
  at::parallel_for(0, x.size(0), 64, [&](int64_t begin, int64_t end) {
    const rows::Rows part{
        from + begin * x.stride(0), end - begin, heads, half, x.stride(0), x.stride(1)};
    rows::rotate(part, cos + begin * half, sin + begin * half, sign, to + begin * heads * 2 * half);
  });
}

Tensor rotate(const Tensor& x, const RotaryTable& table, bool back) {
  if (rotates_in_16_bit(x, table)) {
    Tensor y = at::empty(x.sizes(), x.options());
    const float sign = back ? -1.0F : 1.0F;
    if (table.cos.scalar_type() == torch::kFloat) {
      rotate_rows_16<float>(x, table, sign, y);
    } else {
      rotate_rows_16<rows::Bits>(x, table, sign, y);
    }
    return y;
  }
  if (x.is_cpu() && x.scalar_type() == torch::kFloat && x.stride(2) == 1) {
    Tensor y = at::empty(x.sizes(), x.options());
    rotate_rows(x, table, back ? -1.0F : 1.0F, y);
    return y;
  }
  const Tensor cos = table.cos.unsqueeze(1),
               sin = back ? -table.sin.unsqueeze(1) : table.sin.unsqueeze(1);
  const auto halves = x.to(cos.scalar_type()).chunk(2, -1);
  return at::cat({halves[0] * cos - halves[1] * sin, halves[1] * cos + halves[0] * sin}, -1)
      .to(x.scalar_type());
}

// The gradient of a rotation is the rotation back: nothing but the table is kept.
struct Rotation : torch::autograd::Function<Rotation> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& cos,
                        const Tensor& sin) {
    ctx->save_for_backward({cos, sin});
    return rotate(x, {cos, sin}, false);
  }

  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const tensor_list saved = ctx->get_saved_variables();
    return {rotate(grads[0], {saved[0], saved[1]}, true), Tensor(), Tensor()};
  }
};

}  // namespace

RotaryTable vision_rotary_table(const Tensor& positions, int64_t head_dim) {
  STREAMO_CHECK(positions.size(0) == 2 && head_dim % 4 == 0, "rows and columns, whole frequencies");
  const Tensor frequencies = inverse_frequencies(head_dim / 2, kVisionTheta, positions.device());
  const Tensor angles = positions.to(torch::kFloat).unsqueeze(-1) * frequencies;  // [2, L, D/4]
  const Tensor joined = at::cat({angles[0], angles[1]}, -1);
  return {joined.cos(), joined.sin()};
}

RotaryTable text_rotary_table(const Tensor& positions, int64_t head_dim, double theta,
                              std::span<const int64_t> sections, torch::ScalarType dtype) {
  STREAMO_CHECK(positions.size(0) == 3, "temporal, height and width positions");
  std::vector<int64_t> axis_of_channel;
  for (size_t i = 0; i < sections.size(); ++i) {
    axis_of_channel.insert(axis_of_channel.end(), static_cast<size_t>(sections[i]),
                           static_cast<int64_t>(i % 3));
  }
  STREAMO_CHECK(static_cast<int64_t>(axis_of_channel.size()) == head_dim / 2,
                "sections fill half a head");
  const Tensor axes = torch::tensor(axis_of_channel, torch::kLong).to(positions.device());
  const Tensor frequencies = inverse_frequencies(head_dim, theta, positions.device());
  const Tensor angles =
      positions.to(torch::kFloat).index_select(0, axes).t() * frequencies;  // [L, D/2]
  return {angles.cos().to(dtype).contiguous(), angles.sin().to(dtype).contiguous()};
}

Tensor apply_rotary(const Tensor& x, const RotaryTable& table) {
  return Rotation::apply(x, table.cos, table.sin);
}

}  // namespace streamo::nn
