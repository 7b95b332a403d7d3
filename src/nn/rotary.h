// Rotary position embedding (Su et al., arXiv 2104.09864), half-split form: channel i is rotated
// with channel i + D/2 by the angle position * frequency[i].
//
// L tokens, N heads, D channels a head. A table is made once a forward and serves all layers.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <span>

namespace streamo::nn {

struct RotaryTable {
  torch::Tensor cos, sin;  // [L, D/2]
};

// Pictures: the first half of the frequencies turns with the row, the second with the column; theta
// 10000. positions [2, L] int64: row, column. The table is fp32 and so is the rotation, whatever
// the model's type.
RotaryTable vision_rotary_table(const torch::Tensor& positions, int64_t head_dim);

// Text: consecutive sections of the D/2 frequencies turn with the temporal, height and width
// position in turn ("multimodal rope", arXiv 2409.12191). positions [3, L] int64. Computed in fp32,
// then rounded to `dtype`, in which the rotation is done too.
RotaryTable text_rotary_table(const torch::Tensor& positions, int64_t head_dim, double theta,
                              std::span<const int64_t> sections, torch::ScalarType dtype);

// x [L, N, D] (any strides with channels adjacent) -> rotated, contiguous, in the type of x.
torch::Tensor apply_rotary(const torch::Tensor& x, const RotaryTable& table);

}  // namespace streamo::nn
