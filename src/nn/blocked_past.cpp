#include "blocked_past.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "block_kernels.h"
#include "block_product.h"

namespace streamo::nn {
namespace {

using torch::Tensor;
using namespace blocks;

constexpr int64_t kMinChannels = 64;

template <typename T>
struct Rows {
  const T* data;
  int64_t stride;
};

// `count` queries of one key/value head, [count, d], against `key_blocks` blocks of its keys. Each
// block of keys is laid out once and meets all queries.
template <typename T>
void attend(const T* q, int64_t count, Rows<T> k, Rows<T> v, int64_t key_blocks, int64_t d, T* out,
            float* log_sum) {
  const int64_t blocks = (count + kBlock - 1) / kBlock, size = kBlock * d;
  const float scale = 1.0F / std::sqrt(static_cast<float>(d));
  std::vector<T> queries(static_cast<size_t>(blocks * size)), keys(static_cast<size_t>(size)),
      values(keys.size()), p(static_cast<size_t>(kBlock * kBlock));
  std::vector<float> scores(p.size()), sums(queries.size()),
      row_max(static_cast<size_t>(blocks * kBlock), -INFINITY), row_sum(row_max.size());
  const auto rows = [&](int64_t i) { return std::min(kBlock, count - i * kBlock); };
  const auto state = [&](int64_t i) {
    return SoftmaxState{row_max.data() + i * kBlock, row_sum.data() + i * kBlock,
                        sums.data() + i * size};
  };
  for (int64_t i = 0; i < blocks; ++i) {
    pack_rows(q + i * size, d, rows(i), d, queries.data() + i * size);
  }
  for (int64_t j = 0; j < key_blocks; ++j) {
    pack_transposed_paired(k.data + j * kBlock * k.stride, k.stride, kBlock, d, keys.data());
    pack_paired(v.data + j * kBlock * v.stride, v.stride, kBlock, d, values.data());
    for (int64_t i = 0; i < blocks; ++i) {
      multiply(kBlock, kBlock, d, queries.data() + i * size, keys.data(), scores.data(), false);
      softmax_block(scores.data(), scale, /*diagonal=*/kBlock, d, state(i), p.data());
      multiply(kBlock, d, kBlock, p.data(), values.data(), sums.data() + i * size, true);
    }
  }
  for (int64_t i = 0; i < blocks; ++i) {
    finish_rows(state(i), rows(i), d, out + i * size, d, log_sum + i * kBlock);
  }
}

template <typename T>
void attend_all(const Tensor& q, const Tensor& k, const Tensor& v, int64_t keys, const Tensor& out,
                const Tensor& log_sum) {
  const int64_t heads = q.size(0), rows = q.size(1), d = q.size(2);
  const int64_t blocks = (rows + kBlock - 1) / kBlock;
  const int64_t parts = std::min<int64_t>(blocks, (at::get_num_threads() + heads - 1) / heads);
  const auto *pq = static_cast<const T*>(q.const_data_ptr()),
             *pk = static_cast<const T*>(k.const_data_ptr()),
             *pv = static_cast<const T*>(v.const_data_ptr());
  auto* to = static_cast<T*>(out.data_ptr());
  auto* sums = log_sum.data_ptr<float>();
  at::parallel_for(0, heads * parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t head = task / parts, part = task % parts;
      const int64_t first = blocks * part / parts * kBlock;
      const int64_t last = std::min(rows, blocks * (part + 1) / parts * kBlock);
      const int64_t row = head * rows + first;
      attend<T>(pq + row * d, last - first, {pk + head * k.stride(0), k.stride(1)},
                {pv + head * v.stride(0), v.stride(1)}, keys / kBlock, d, to + row * d, sums + row);
    }
    finish_multiplying();
  });
}

}  // namespace

int64_t blocked_past_keys(int64_t held) {
  return held / kBlock * kBlock;
}

bool blocked_past_applies(const Tensor& q, const Tensor& k, const Tensor& v, int64_t held) {
  return has_products(q) && q.size(-1) >= kMinChannels && q.size(-1) % 16 == 0 &&
         k.stride(-1) == 1 && v.stride(-1) == 1 && blocked_past_keys(held) > 0;
}

std::pair<Tensor, Tensor> blocked_past(const Tensor& q, const Tensor& k, const Tensor& v,
                                       int64_t keys) {
  const Tensor queries = q.contiguous();
  const Tensor out = at::empty_like(queries);
  const Tensor log_sum = at::empty({q.size(0), q.size(1)}, q.options().dtype(torch::kFloat));
  if (q.scalar_type() == torch::kFloat) {
    attend_all<float>(queries, k, v, keys, out, log_sum);
  } else {
    attend_all<uint16_t>(queries, k, v, keys, out, log_sum);
  }
  return {out, log_sum};
}

}  // namespace streamo::nn
