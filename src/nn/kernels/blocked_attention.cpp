// FlashAttention's tiling on CPU threads. The backward pass recomputes probabilities from the saved
// log-sum-exp and works on transposed scores.
#include "nn/kernels/blocked_attention.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "nn/kernels/block_kernels.h"
#include "nn/kernels/block_product.h"

namespace streamo::nn {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;
using namespace blocks;

constexpr int64_t kMinChannels = 64, kMinLength = 256;

// [L, heads, D] with channels adjacent.
template <typename T>
struct View {
  explicit View(const Tensor& tensor)
      : data(static_cast<T*>(tensor.data_ptr())), row(tensor.stride(0)), head(tensor.stride(1)) {}
  T* at(int64_t token, int64_t h) const { return data + token * row + h * head; }
  T* data;
  int64_t row, head;
};

struct Shape {
  int64_t tokens, heads, kv_heads, d;
  float scale;
};

Shape attention_shape(const Tensor& q, const Tensor& k) {
  return {q.size(0), q.size(1), k.size(1), q.size(2),
          1.0F / std::sqrt(static_cast<float>(q.size(2)))};
}

struct Sequence {
  int64_t begin, length;
  int64_t first_block;  // of all blocks of the pack
  int64_t blocks() const { return (length + kBlock - 1) / kBlock; }
  int64_t rows(int64_t block) const { return std::min(kBlock, length - block * kBlock); }
  int64_t token(int64_t block) const { return begin + block * kBlock; }
};

std::vector<Sequence> split_sequences(const std::vector<int64_t>& cu_seqlens) {
  std::vector<Sequence> sequences;
  int64_t blocks = 0;
  for (size_t i = 1; i < cu_seqlens.size(); ++i) {
    if (cu_seqlens[i] == cu_seqlens[i - 1]) continue;
    sequences.push_back({cu_seqlens[i - 1], cu_seqlens[i] - cu_seqlens[i - 1], blocks});
    blocks += sequences.back().blocks();
  }
  return sequences;
}

// One task a head and sequence; each thread gets its heads of every sequence, which balances
// sequences of different lengths.
template <typename Work>
void for_heads_and_sequences(int64_t heads, const std::vector<Sequence>& sequences,
                             const Work& work) {
  const auto count = static_cast<int64_t>(sequences.size());
  at::parallel_for(0, heads * count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      work(task / count, sequences[static_cast<size_t>(task % count)]);
    }
    release_matmul_state();
  });
}

template <typename T>
void forward_head(const View<const T>& q, const View<const T>& k, const View<const T>& v,
                  const Shape& shape, int64_t head, const Sequence& sequence, const View<T>& out,
                  float* log_sum) {
  const int64_t d = shape.d, kv_head = head / (shape.heads / shape.kv_heads);
  const int64_t blocks = sequence.blocks(), size = kBlock * d;
  std::vector<T> keys(static_cast<size_t>(blocks * size)), values(keys.size()),
      queries(static_cast<size_t>(size)), p(static_cast<size_t>(kBlock * kBlock));
  std::vector<float> scores(p.size()), sums(queries.size()), row_max(kBlock), row_sum(kBlock);
  const SoftmaxState state{row_max.data(), row_sum.data(), sums.data()};
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t token = sequence.token(i), rows = sequence.rows(i);
    // Causal: queries of block i see keys of blocks 0 to i, so each block is packed once, on
    // reaching it.
    pack_transposed_paired(k.at(token, kv_head), k.row, rows, d, keys.data() + i * size);
    pack_paired(v.at(token, kv_head), v.row, rows, d, values.data() + i * size);
    pack_rows(q.at(token, head), q.row, rows, d, queries.data());
    std::fill(row_max.begin(), row_max.end(), -INFINITY);
    std::fill(row_sum.begin(), row_sum.end(), 0.0F);
    std::fill(sums.begin(), sums.end(), 0.0F);
    for (int64_t j = 0; j <= i; ++j) {
      multiply(kBlock, kBlock, d, queries.data(), keys.data() + j * size, scores.data(), false);
      softmax_block(scores.data(), shape.scale, kBlock, (i - j) * kBlock, d, state, p.data());
      multiply(kBlock, d, kBlock, p.data(), values.data() + j * size, sums.data(), true);
    }
    finish_rows(state, rows, d, out.at(token, head), out.row, log_sum + token);
  }
}

// Buffers of a head in the backward pass. Products are made with keys as rows and queries as
// columns: then p and ds are first operands as they are, and nothing large is transposed.
template <typename T>
struct BackwardBuffers {
  BackwardBuffers(int64_t blocks, int64_t d)
      : keys(static_cast<size_t>(blocks * kBlock * d)),
        keys_t(keys.size()),
        values(keys.size()),
        queries(static_cast<size_t>(kBlock * d)),
        queries_t(queries.size()),
        grads(queries.size()),
        grads_t(queries.size()),
        p(static_cast<size_t>(kBlock * kBlock)),
        ds(p.size()),
        ds_paired(p.size()),
        scores(p.size()),
        grad_p(p.size()),
        grad_q_t(queries.size()),
        log_sum(kBlock),
        delta(kBlock) {}
  std::vector<T> keys, keys_t, values;                // all blocks of the sequence
  std::vector<T> queries, queries_t, grads, grads_t;  // of a block of queries
  std::vector<T> p, ds, ds_paired;                    // of a pair of blocks
  std::vector<float> scores, grad_p, grad_q_t, log_sum, delta;
};

template <typename T>
struct BackwardInputs {
  View<const T> q, k, v, out, grad;
  const float* log_sum;  // [heads, tokens]
  Shape shape;
};

// grad_k and grad_v: of this head alone, [blocks * kBlock, D], zero before.
template <typename T>
void backward_head(const BackwardInputs<T>& in, int64_t head, const Sequence& sequence,
                   const View<T>& grad_q, float* grad_k, float* grad_v) {
  const int64_t d = in.shape.d, kv_head = head / (in.shape.heads / in.shape.kv_heads);
  const int64_t size = kBlock * d;
  BackwardBuffers<T> b(sequence.blocks(), d);
  for (int64_t i = 0; i < sequence.blocks(); ++i) {
    const int64_t token = sequence.token(i), rows = sequence.rows(i);
    const T *q = in.q.at(token, head), *k = in.k.at(token, kv_head), *v = in.v.at(token, kv_head);
    const T *grad = in.grad.at(token, head), *out = in.out.at(token, head);
    pack_rows(k, in.k.row, rows, d, b.keys.data() + i * size);
    pack_transposed(k, in.k.row, rows, d, b.keys_t.data() + i * size);
    pack_rows(v, in.v.row, rows, d, b.values.data() + i * size);
    pack_paired(q, in.q.row, rows, d, b.queries.data());
    pack_transposed_paired(q, in.q.row, rows, d, b.queries_t.data());
    pack_paired(grad, in.grad.row, rows, d, b.grads.data());
    pack_transposed_paired(grad, in.grad.row, rows, d, b.grads_t.data());
    // rowsum(dO * O), which equals rowsum(P * dP): the softmax's gradient needs no second pass over
    // keys.
    row_dots(grad, in.grad.row, out, in.out.row, rows, d, b.delta.data());
    const float* log_sum = in.log_sum + head * in.shape.tokens + token;
    std::copy(log_sum, log_sum + rows, b.log_sum.begin());
    std::fill(b.log_sum.begin() + rows, b.log_sum.end(), INFINITY);  // queries that do not exist
    for (int64_t j = 0; j <= i; ++j) {
      multiply(kBlock, kBlock, d, b.keys.data() + j * size, b.queries_t.data(), b.scores.data(),
               false);
      multiply(kBlock, kBlock, d, b.values.data() + j * size, b.grads_t.data(), b.grad_p.data(),
               false);
      softmax_backward_block(b.scores.data(), b.grad_p.data(), in.shape.scale, (j - i) * kBlock,
                             b.log_sum.data(), b.delta.data(), b.p.data(), b.ds.data(),
                             b.ds_paired.data());
      multiply(kBlock, d, kBlock, b.p.data(), b.grads.data(), grad_v + j * size, true);
      multiply(kBlock, d, kBlock, b.ds.data(), b.queries.data(), grad_k + j * size, true);
      // As a second operand bf16 must have its rows interleaved in pairs; fp32 has one layout.
      const T* second = sizeof(T) == sizeof(float) ? b.ds.data() : b.ds_paired.data();
      multiply(d, kBlock, kBlock, b.keys_t.data() + j * size, second, b.grad_q_t.data(), j > 0);
    }
    store_transposed(b.grad_q_t.data(), in.shape.scale, rows, d, grad_q.at(token, head),
                     grad_q.row);
  }
}

template <typename T>
void forward_all(const Tensor& q, const Tensor& k, const Tensor& v,
                 const std::vector<Sequence>& sequences, const Tensor& out, const Tensor& log_sum) {
  const Shape shape = attention_shape(q, k);
  const View<const T> vq(q), vk(k), vv(v);
  const View<T> to(out);
  auto* sums = log_sum.data_ptr<float>();
  for_heads_and_sequences(shape.heads, sequences, [&](int64_t head, const Sequence& sequence) {
    forward_head<T>(vq, vk, vv, shape, head, sequence, to, sums + head * shape.tokens);
  });
}

template <typename T>
tensor_list backward_all(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& out,
                         const Tensor& log_sum, const Tensor& grad,
                         const std::vector<Sequence>& sequences) {
  const Shape shape = attention_shape(q, k);
  const int64_t blocks = sequences.back().first_block + sequences.back().blocks();
  const int64_t step = blocks * kBlock * shape.d, group = shape.heads / shape.kv_heads;
  const auto dense = [&](int64_t heads) {
    return at::empty({shape.tokens, heads, shape.d}, q.options());
  };
  const Tensor grad_q = dense(shape.heads), grad_k = dense(shape.kv_heads),
               grad_v = dense(shape.kv_heads);
  const auto of_heads = [&] {  // the gradients of keys or values, each query head's share apart
    return at::empty({shape.heads, step}, q.options().dtype(torch::kFloat));
  };
  // The query heads of a group share keys and values. Each writes a gradient of its own, and a
  // second loop adds them in the order of the heads: no atomics, the same bits for any number of
  // threads.
  const Tensor shares_k = of_heads(), shares_v = of_heads();
  auto *pk = shares_k.data_ptr<float>(), *pv = shares_v.data_ptr<float>();
  const BackwardInputs<T> in{View<const T>(q),
                             View<const T>(k),
                             View<const T>(v),
                             View<const T>(out),
                             View<const T>(grad),
                             log_sum.data_ptr<float>(),
                             shape};
  const View<T> to_q(grad_q), to_k(grad_k), to_v(grad_v);
  for_heads_and_sequences(shape.heads, sequences, [&](int64_t head, const Sequence& sequence) {
    const int64_t offset = head * step + sequence.first_block * kBlock * shape.d;
    const int64_t count = sequence.blocks() * kBlock * shape.d;
    std::fill_n(pk + offset, count, 0.0F);
    std::fill_n(pv + offset, count, 0.0F);
    backward_head<T>(in, head, sequence, to_q, pk + offset, pv + offset);
  });
  for_heads_and_sequences(shape.kv_heads, sequences, [&](int64_t head, const Sequence& sequence) {
    const int64_t offset = head * group * step + sequence.first_block * kBlock * shape.d;
    store_sum(pk + offset, group, step, shape.scale, sequence.length, shape.d,
              to_k.at(sequence.begin, head), to_k.row);
    store_sum(pv + offset, group, step, 1.0F, sequence.length, shape.d,
              to_v.at(sequence.begin, head), to_v.row);
  });
  return {grad_q, grad_k, grad_v};
}

struct BlockedAttention : torch::autograd::Function<BlockedAttention> {
  static Tensor forward(AutogradContext* ctx, const Tensor& q, const Tensor& k, const Tensor& v,
                        const std::vector<int64_t>& cu_seqlens) {
    const Tensor out = at::empty({q.size(0), q.size(1), q.size(2)}, q.options());
    const Tensor log_sum = at::empty({q.size(1), q.size(0)}, q.options().dtype(torch::kFloat));
    const std::vector<Sequence> sequences = split_sequences(cu_seqlens);
    if (q.scalar_type() == torch::kFloat) {
      forward_all<float>(q, k, v, sequences, out, log_sum);
    } else {
      forward_all<uint16_t>(q, k, v, sequences, out, log_sum);
    }
    const Tensor result = out.flatten(1);
    ctx->save_for_backward({q, k, v, result, log_sum});
    ctx->saved_data["cu_seqlens"] = cu_seqlens;
    return result;
  }

  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const tensor_list saved = ctx->get_saved_variables();
    const Tensor &q = saved[0], &k = saved[1], &v = saved[2];
    const Tensor out = saved[3].view(q.sizes()), grad = grads[0].contiguous().view(q.sizes());
    const std::vector<Sequence> sequences =
        split_sequences(ctx->saved_data["cu_seqlens"].toIntVector());
    tensor_list result = q.scalar_type() == torch::kFloat
                             ? backward_all<float>(q, k, v, out, saved[4], grad, sequences)
                             : backward_all<uint16_t>(q, k, v, out, saved[4], grad, sequences);
    result.emplace_back();
    return result;
  }
};

}  // namespace

bool blocked_attention_applies(const Tensor& q, const Tensor& k, const Tensor& v,
                               std::span<const int64_t> cu_seqlens) {
  if (!has_products(q) || q.size(2) < kMinChannels || q.size(2) % 16 != 0) return false;
  if (q.stride(2) != 1 || k.stride(2) != 1 || v.stride(2) != 1) return false;
  int64_t longest = 0;
  for (size_t i = 1; i < cu_seqlens.size(); ++i) {
    longest = std::max(longest, cu_seqlens[i] - cu_seqlens[i - 1]);
  }
  return longest >= kMinLength;
}

Tensor blocked_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                         const std::vector<int64_t>& cu_seqlens) {
  return BlockedAttention::apply(q, k, v, cu_seqlens);
}

}  // namespace streamo::nn
