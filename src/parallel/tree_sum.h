// Sums over ranks.
#pragma once

#include <ATen/core/Tensor.h>

namespace streamo::parallel {

// Rows of `parts` summed in pairs, then pairs of pairs; bf16 is summed as fp32.
at::Tensor tree_sum(const at::Tensor& parts);

}  // namespace streamo::parallel
