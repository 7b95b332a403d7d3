// Matrix products of large fp32 matrices on the CPU.
//
// LibTorch multiplies bf16 with oneDNN but fp32 with MKL, which on processors other than Intel's
// leaves half of their vector width unused: oneDNN is 1.1 (Intel) to 2.2 times (AMD Zen 5) as fast
// there.
#pragma once

#include <torch/torch.h>

namespace streamo::nn {

// Whether `product` hands a product of x [M, K] and a weight of `weight_values` numbers to oneDNN:
// fp32 on the CPU, of a size that pays for laying the weight out anew.
bool is_large_product(const torch::Tensor& x, int64_t weight_values);

// x [M, K] times the transpose of w [N, K], plus `bias` [N] if defined -> [M, N]. Any strides: a
// product with w itself is `product(x, w.t())`. No gradient.
torch::Tensor product(const torch::Tensor& x, const torch::Tensor& w,
                      const torch::Tensor& bias = {});

}  // namespace streamo::nn
