// The element-wise half of blocked attention, on raw memory; its matrix products are elsewhere
// (blocked_attention.cpp). The implementation is compiled for AVX-512 whatever the rest is compiled
// for, so it shares no inline function with other files: no LibTorch, no containers.
//
// T is float or bf16 (as uint16_t bits). Blocks are kBlock x kBlock, D channels a head (a multiple
// of 16). "Paired": the layout that bf16 products want of their second operand, two consecutive
// rows interleaved: [rows / 2][columns][2]; for float it is the plain layout.
#pragma once

#include <cstdint>

namespace streamo::nn::blocks {

constexpr int64_t kBlock = 128;

bool machine_has_avx512();
bool machine_has_bf16_products();

// `rows` <= kBlock rows of a matrix with row stride `stride` -> zero-padded blocks of kBlock rows.
template <typename T>
void pack_rows(const T* from, int64_t stride, int64_t rows, int64_t d, T* to);  // [kBlock][d]
template <typename T>
void pack_paired(const T* from, int64_t stride, int64_t rows, int64_t d, T* to);
template <typename T>
void pack_transposed(const T* from, int64_t stride, int64_t rows, int64_t d, T* to);  // [d][kBlock]
template <typename T>
void pack_transposed_paired(const T* from, int64_t stride, int64_t rows, int64_t d, T* to);

// One block of online softmax (Milakov, Gimelshein, arXiv 1805.02867), its first `rows` rows.
// scores [kBlock][kBlock], of which row r sees the first `diagonal` + r + 1 (all if that is more;
// of its first block, at least one). Updates maximum and sum of each row, scales what `out`
// [kBlock][d] holds so far, writes exp(scale * score - maximum).
struct SoftmaxState {
  float *maximum, *sum, *out;  // [kBlock], [kBlock], [kBlock][d]
};
template <typename T>
void softmax_block(const float* scores, float scale, int64_t rows, int64_t diagonal, int64_t d,
                   const SoftmaxState& state, T* probabilities);

// out / sum -> `to` (`rows` rows); the logarithm of the row's normaliser -> log_sum.
template <typename T>
void finish_rows(const SoftmaxState& state, int64_t rows, int64_t d, T* to, int64_t stride,
                 float* log_sum);

// [r] = sum over channels of a * b; `rows` rows, the rest zero.
template <typename T>
void row_dots(const T* a, int64_t stride_a, const T* b, int64_t stride_b, int64_t rows, int64_t d,
              float* result);

// Of scores and of the probabilities' gradients, both transposed [keys][queries]: p = exp(scale *
// score - log_sum), ds = p (dp - delta), as first operand of a product and, ds, as second too.
// Key r is seen from query `diagonal` + r on.
template <typename T>
void softmax_backward_block(const float* scores_t, const float* grad_t, float scale,
                            int64_t diagonal, const float* log_sum, const float* delta, T* p, T* ds,
                            T* ds_paired);

// factor * from [d][kBlock], transposed -> `rows` rows of `to`.
template <typename T>
void store_transposed(const float* from, float factor, int64_t rows, int64_t d, T* to,
                      int64_t stride);
// factor * sum of `count` matrices [.., d] that lie `step` apart -> `rows` rows of `to`.
template <typename T>
void store_sum(const float* from, int64_t count, int64_t step, float factor, int64_t rows,
               int64_t d, T* to, int64_t stride);

}  // namespace streamo::nn::blocks
