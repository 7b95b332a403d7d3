// The vocabulary is cut into blocks: the first pass keeps only a maximum and a sum per row and
// block (log-sum-exp), the second recomputes the logits and turns them into gradients at once.
#include "loss/cpu_head.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "loss/cpu_head_kernels.h"
#include "nn/kernels/block_kernels.h"
#include "nn/kernels/block_product.h"

namespace streamo::loss {
namespace {

using torch::Tensor;
using namespace nn::blocks;

constexpr int64_t kMinVocabulary = 2048;
constexpr int64_t kRowStep = 32;  // of the padded number of rows
// The gradient of the hidden states is summed in so many parts of the vocabulary: fixed, so that
// the sum does not depend on the number of threads.
constexpr int64_t kParts = 8;

template <typename T>
const T* data(const Tensor& tensor) {
  return static_cast<const T*>(tensor.const_data_ptr());
}

template <typename T>
std::vector<T> zeros(int64_t count) {
  return std::vector<T>(static_cast<size_t>(count));
}

}  // namespace

bool CpuHead::applies(const Tensor& hidden, const Tensor& head) {
  return has_products(head) && hidden.scalar_type() == head.scalar_type() && head.is_contiguous() &&
         head.size(0) >= kMinVocabulary && head.size(1) % 16 == 0 && hidden.size(0) > 0;
}

CpuHead::CpuHead(const Tensor& hidden, const Tensor& head, const Tensor& targets)
    : hidden_(hidden.contiguous()),
      head_(head),
      targets_(targets.contiguous()),
      rows_(hidden.size(0)),
      padded_rows_((rows_ + kRowStep - 1) / kRowStep * kRowStep),
      channels_(head.size(1)),
      vocabulary_(head.size(0)),
      blocks_((vocabulary_ + kBlock - 1) / kBlock) {
  const auto fp32 = hidden_.options().dtype(torch::kFloat);
  log_sum_ = at::empty({rows_}, fp32);
  ce_ = at::empty({rows_}, fp32);
  predictions_ = at::empty({rows_}, fp32.dtype(torch::kLong));
  if (head.scalar_type() == torch::kFloat) {
    compute_statistics<float>();
  } else {
    compute_statistics<uint16_t>();
  }
}

int64_t CpuHead::columns(int64_t block) const {
  return std::min(kBlock, vocabulary_ - block * kBlock);
}

template <typename T>
std::vector<T> CpuHead::padded_hidden() const {
  std::vector<T> padded = zeros<T>(padded_rows_ * channels_);
  std::copy_n(data<T>(hidden_), rows_ * channels_, padded.begin());
  return padded;
}

template <typename T>
void CpuHead::block_logits(const std::vector<T>& hidden, int64_t block, std::vector<T>& head,
                           float* logits) const {
  pack_transposed_paired(data<T>(head_) + block * kBlock * channels_, channels_, columns(block),
                         channels_, head.data());
  for (int64_t r = 0; r < padded_rows_; r += kBlock) {
    multiply(std::min(kBlock, padded_rows_ - r), kBlock, channels_, hidden.data() + r * channels_,
             head.data(), logits + r * kBlock, false);
  }
}

template <typename T>
void CpuHead::compute_statistics() {
  const std::vector<T> hidden = padded_hidden<T>();
  std::vector<float> largest = zeros<float>(blocks_ * rows_), sum = largest;
  std::vector<int64_t> position = zeros<int64_t>(blocks_ * rows_);
  const auto* target = data<int64_t>(targets_);
  auto *ce = ce_.data_ptr<float>(), *log_sum = log_sum_.data_ptr<float>();
  at::parallel_for(0, blocks_, 1, [&](int64_t begin, int64_t end) {
    std::vector<T> head = zeros<T>(kBlock * channels_);
    std::vector<float> logits = zeros<float>(padded_rows_ * kBlock);
    for (int64_t b = begin; b < end; ++b) {
      block_logits(hidden, b, head, logits.data());
      const int64_t at = b * rows_;
      logit_statistics(logits.data(), rows_, columns(b), largest.data() + at, position.data() + at,
                       sum.data() + at);
      for (int64_t r = 0; r < rows_; ++r) {
        // Exactly one block holds the target; the logarithm of the sum is added when all are known.
        const int64_t column = target[r] - b * kBlock;
        if (column >= 0 && column < kBlock) {
          ce[r] = -logits[static_cast<size_t>(r * kBlock + column)];
        }
      }
    }
    release_matmul_state();
  });
  auto* predictions = predictions_.data_ptr<int64_t>();
  for (int64_t r = 0; r < rows_; ++r) {
    float top = -INFINITY;
    double total = 0;
    for (int64_t b = 0; b < blocks_; ++b) {
      const auto i = static_cast<size_t>(b * rows_ + r);
      // The first of equal logits wins, as in argmax.
      if (largest[i] > top || b == 0) predictions[r] = b * kBlock + position[i];
      top = std::max(top, largest[i]);
    }
    for (int64_t b = 0; b < blocks_; ++b) {
      const auto i = static_cast<size_t>(b * rows_ + r);
      // Each block's sum is relative to its own maximum.
      total += static_cast<double>(sum[i]) * std::exp(static_cast<double>(largest[i]) - top);
    }
    const double log_total = top + std::log(total);
    log_sum[r] = static_cast<float>(log_total);
    ce[r] = static_cast<float>(log_total + ce[r]);
  }
}

void CpuHead::add_gradients(const Tensor& factor, const Tensor& grad_hidden,
                            const Tensor& grad_head) const {
  if (head_.scalar_type() == torch::kFloat) {
    gradients<float>(factor.contiguous(), grad_hidden, grad_head);
  } else {
    gradients<uint16_t>(factor.contiguous(), grad_hidden, grad_head);
  }
}

template <typename T>
void CpuHead::gradients(const Tensor& factor, const Tensor& grad_hidden,
                        const Tensor& grad_head) const {
  const int64_t size = kBlock * channels_;
  // Rows of padding have the factor 0, so their gradient is 0 whatever their logits are.
  std::vector<LogitRow> row(static_cast<size_t>(padded_rows_), LogitRow{0, 0, 0, -1});
  for (int64_t r = 0; r < rows_; ++r) {
    const float f = data<float>(factor)[r];
    // At the target, p - 1 = -(1 - e^-CE): expm1 keeps its digits where p is close to 1.
    row[static_cast<size_t>(r)] = {data<float>(log_sum_)[r], f,
                                   f * std::expm1(-data<float>(ce_)[r]),
                                   data<int64_t>(targets_)[r]};
  }
  const std::vector<T> hidden = padded_hidden<T>();
  std::vector<T> paired = zeros<T>((rows_ + kBlock - 1) / kBlock * size);
  for (int64_t r = 0; r < rows_; r += kBlock) {
    pack_paired(data<T>(hidden_) + r * channels_, channels_, std::min(kBlock, rows_ - r), channels_,
                paired.data() + r * channels_);
  }
  const int64_t step = padded_rows_ * channels_;
  std::vector<float> parts = zeros<float>(grad_hidden.defined() ? kParts * step : 0);
  float* to_head = grad_head.defined() ? grad_head.data_ptr<float>() : nullptr;
  at::parallel_for(0, kParts, 1, [&](int64_t first_part, int64_t end_part) {
    std::vector<T> head = zeros<T>(size), gradient = zeros<T>(padded_rows_ * kBlock),
                   transposed = gradient;
    std::vector<float> logits = zeros<float>(padded_rows_ * kBlock), tail = zeros<float>(size);
    for (int64_t part = first_part; part < end_part; ++part) {
      for (int64_t b = part * blocks_ / kParts; b < (part + 1) * blocks_ / kParts; ++b) {
        block_logits(hidden, b, head, logits.data());
        logit_gradient(logits.data(), row.data(), padded_rows_, b * kBlock, columns(b),
                       gradient.data(), transposed.data());
        if (grad_hidden.defined()) {
          pack_paired(data<T>(head_) + b * size, channels_, columns(b), channels_, head.data());
          for (int64_t r = 0; r < padded_rows_; r += kBlock) {
            multiply(std::min(kBlock, padded_rows_ - r), channels_, kBlock,
                     gradient.data() + r * kBlock, head.data(),
                     parts.data() + part * step + r * channels_, true);
          }
        }
        if (to_head == nullptr) continue;
        float* to = to_head + b * size;
        // Blocks of the head are disjoint, so threads add to it without a lock. There is no memory
        // behind the last one: if it is incomplete, its gradient goes through `tail`.
        const bool whole = columns(b) == kBlock;
        multiply(kBlock, channels_, padded_rows_, transposed.data(), paired.data(),
                 whole ? to : tail.data(), whole);
        for (int64_t i = 0; !whole && i < columns(b) * channels_; ++i) {
          to[i] += tail[static_cast<size_t>(i)];
        }
      }
    }
    release_matmul_state();
  });
  if (grad_hidden.defined()) {
    store_sum(parts.data(), kParts, step, 1.0F, rows_, channels_,
              static_cast<T*>(grad_hidden.data_ptr()), channels_);
  }
}

}  // namespace streamo::loss
