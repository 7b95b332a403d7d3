// The element-wise half of CpuHead on raw memory, compiled for AVX-512 (see nn/block_kernels.h,
// whose layouts these are).
#pragma once

#include <cstdint>

namespace streamo::loss {

// Of each of `rows` rows of logits [rows][kBlock], of which the first `columns` exist: the largest,
// where it stands, and the sum of exp(logit - largest).
void logit_statistics(const float* logits, int64_t rows, int64_t columns, float* largest,
                      int64_t* position, float* sum);

struct LogitRow {
  float log_sum, factor, at_target;  // at_target: what stands at the target, factor (p - 1)
  int64_t target;                    // in the vocabulary
};
// factor (p - onehot(target)) of the block that starts at `first`, as rows [rows][kBlock] and as
// columns [kBlock][rows].
template <typename T>
void logit_gradient(const float* logits, const LogitRow* row, int64_t rows, int64_t first,
                    int64_t columns, T* gradient, T* transposed);

}  // namespace streamo::loss
