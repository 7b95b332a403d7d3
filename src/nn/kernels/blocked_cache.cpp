// Cuts query heads into units that share a key head, and distributes them so that each packed block
// of keys serves as many queries as possible.
#include "nn/kernels/blocked_cache.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "nn/kernels/block_kernels.h"
#include "nn/kernels/block_product.h"

namespace streamo::nn {
namespace {

using torch::Tensor;
using namespace blocks;

constexpr int64_t kMinChannels = 64;
constexpr int64_t kRowStep = 16;  // few heights of products: each is generated once

template <typename T>
struct Matrix {
  T* data;
  int64_t stride;  // of rows
};

// Some queries of one head, neighbours in time.
template <typename T>
struct Queries {
  Matrix<const T> from;
  Matrix<T> out;
  int64_t rows;
  int64_t seen;  // keys that stand before the first of them
};

// The keys and values of one block, as the products want them.
template <typename T>
class KeyBlock {
 public:
  explicit KeyBlock(int64_t d)
      : d_(d), keys_(static_cast<size_t>(kBlock * d)), packed_values_(keys_.size()) {}

  void load(Matrix<const T> k, Matrix<const T> v, int64_t rows) {
    pack_transposed_paired(k.data, k.stride, rows, d_, keys_.data());
    if (sizeof(T) == sizeof(float) && v.stride == d_ && rows == kBlock) {
      values_ = v.data;
      return;
    }
    pack_paired(v.data, v.stride, rows, d_, packed_values_.data());
    values_ = packed_values_.data();
  }
  const T* keys() const { return keys_.data(); }
  const T* values() const { return values_; }

 private:
  int64_t d_;
  std::vector<T> keys_, packed_values_;
  const T* values_ = nullptr;
};

// Some queries with what has been summed for them so far.
template <typename T>
class Attending {
 public:
  Attending(const Queries<T>& queries, int64_t d)
      : queries_(queries),
        d_(d),
        height_((queries.rows + kRowStep - 1) / kRowStep * kRowStep),
        q_(static_cast<size_t>(kBlock * d)),
        sums_(q_.size()),
        maximum_(kBlock, -INFINITY),
        sum_(kBlock) {
    pack_rows(queries.from.data, queries.from.stride, queries.rows, d, q_.data());
  }

  // To the block of keys that begins with key `first`. scores, p: [kBlock][kBlock], scratch.
  void attend(const KeyBlock<T>& block, int64_t first, float scale, float* scores, T* p) {
    const int64_t diagonal = queries_.seen - first;
    if (diagonal + queries_.rows <= 0) return;
    multiply(height_, kBlock, d_, q_.data(), block.keys(), scores, false);
    softmax_block(scores, scale, height_, diagonal, d_, state(), p);
    multiply(height_, d_, kBlock, p, block.values(), sums_.data(), true);
  }
  void finish() {
    std::vector<float> log_sum(kBlock);
    finish_rows(state(), queries_.rows, d_, queries_.out.data, queries_.out.stride, log_sum.data());
  }

 private:
  SoftmaxState state() { return {maximum_.data(), sum_.data(), sums_.data()}; }

  Queries<T> queries_;
  int64_t d_, height_;
  std::vector<T> q_;
  std::vector<float> sums_, maximum_, sum_;
};

// Each block of keys is laid out once and meets all queries.
template <typename T>
void attend(const std::vector<Queries<T>>& queries, Matrix<const T> k, Matrix<const T> v,
            int64_t keys, int64_t d) {
  const float scale = 1.0F / std::sqrt(static_cast<float>(d));
  std::vector<float> scores(static_cast<size_t>(kBlock * kBlock));
  std::vector<T> p(scores.size());
  KeyBlock<T> block(d);
  std::vector<Attending<T>> parts;
  for (const Queries<T>& some : queries) parts.emplace_back(some, d);
  for (int64_t first = 0; first < keys; first += kBlock) {
    block.load({k.data + first * k.stride, k.stride}, {v.data + first * v.stride, v.stride},
               std::min(kBlock, keys - first));
    for (Attending<T>& part : parts) part.attend(block, first, scale, scores.data(), p.data());
  }
  for (Attending<T>& part : parts) part.finish();
}

template <typename T>
void attend_all(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& out) {
  const int64_t rows = q.size(0), heads = q.size(1), d = q.size(2);
  const int64_t kv = k.size(0), keys = k.size(1), group = heads / kv;
  const int64_t blocks = (rows + kBlock - 1) / kBlock;  // of a head, of one height but the last
  const int64_t height = ((rows + blocks - 1) / blocks + kRowStep - 1) / kRowStep * kRowStep;
  const int64_t units = group * blocks;
  const int64_t parts = std::min<int64_t>(units, (at::get_num_threads() + kv - 1) / kv);
  const auto *pq = static_cast<const T*>(q.const_data_ptr()),
             *pk = static_cast<const T*>(k.const_data_ptr()),
             *pv = static_cast<const T*>(v.const_data_ptr());
  auto* to = static_cast<T*>(out.data_ptr());
  const auto unit_of = [&](int64_t head, int64_t first) -> Queries<T> {
    return {{pq + first * q.stride(0) + head * q.stride(1), q.stride(0)},
            {to + (first * heads + head) * d, heads * d},
            std::min(height, rows - first),
            keys - rows + first};
  };
  at::parallel_for(0, kv * parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t kv_head = task / parts, part = task % parts;
      std::vector<Queries<T>> queries;
      for (int64_t unit = units * part / parts; unit < units * (part + 1) / parts; ++unit) {
        const int64_t first = unit % blocks * height;
        if (first < rows) queries.push_back(unit_of(kv_head * group + unit / blocks, first));
      }
      attend<T>(queries, {pk + kv_head * k.stride(0), k.stride(1)},
                {pv + kv_head * v.stride(0), v.stride(1)}, keys, d);
    }
    release_matmul_state();
  });
}

}  // namespace

bool blocked_cache_applies(const Tensor& q, const Tensor& k, const Tensor& v) {
  return has_products(q) && q.size(-1) >= kMinChannels && q.size(-1) % 16 == 0 &&
         k.stride(-1) == 1 && v.stride(-1) == 1 && k.size(2) > kBlock;
}

Tensor blocked_cached_attention(const Tensor& q, const Tensor& k, const Tensor& v) {
  const Tensor queries = q.stride(-1) == 1 ? q : q.contiguous();
  const Tensor out = at::empty({q.size(0), q.size(1) * q.size(2)}, q.options());
  if (q.scalar_type() == torch::kFloat) {
    attend_all<float>(queries, k.squeeze(0), v.squeeze(0), out);
  } else {
    attend_all<uint16_t>(queries, k.squeeze(0), v.squeeze(0), out);
  }
  return out;
}

}  // namespace streamo::nn
