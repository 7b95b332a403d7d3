#include "cpu_head.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "cpu_head_kernels.h"
#include "nn/block_kernels.h"
#include "nn/block_product.h"

namespace streamo::loss {
namespace {

using torch::Tensor;
using namespace nn::blocks;

constexpr int64_t kMinVocabulary = 2048;
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
  static const bool fp32 = machine_has_avx512(), bf16 = machine_has_bf16_products();
  const auto type = head.scalar_type();
  const bool can = (type == torch::kFloat && fp32) || (type == torch::kBFloat16 && bf16);
  return can && head.is_cpu() && hidden.scalar_type() == type && head.is_contiguous() &&
         head.size(0) >= kMinVocabulary && head.size(1) % 16 == 0 && hidden.size(0) > 0;
}

CpuHead::CpuHead(const Tensor& hidden, const Tensor& head)
    : hidden_(hidden.contiguous()),
      head_(head),
      rows_(hidden.size(0)),
      padded_rows_((rows_ + kBlock - 1) / kBlock * kBlock),
      channels_(head.size(1)),
      vocabulary_(head.size(0)),
      blocks_((vocabulary_ + kBlock - 1) / kBlock) {
  const auto fp32 = hidden_.options().dtype(torch::kFloat);
  logits_ = at::empty({blocks_, padded_rows_, kBlock}, fp32);
  log_sum_ = at::empty({rows_}, fp32);
  predictions_ = at::empty({rows_}, fp32.dtype(torch::kLong));
  if (head.scalar_type() == torch::kFloat) {
    make_logits<float>();
  } else {
    make_logits<uint16_t>();
  }
}

template <typename T>
void CpuHead::make_logits() {
  const int64_t size = kBlock * channels_;
  std::vector<T> packed = zeros<T>(padded_rows_ * channels_);
  std::copy_n(data<T>(hidden_), rows_ * channels_, packed.begin());
  std::vector<float> largest = zeros<float>(blocks_ * padded_rows_), sum = largest;
  std::vector<int64_t> position = zeros<int64_t>(blocks_ * padded_rows_);
  auto* logits = logits_.data_ptr<float>();
  at::parallel_for(0, blocks_, 1, [&](int64_t begin, int64_t end) {
    std::vector<T> block = zeros<T>(size);
    for (int64_t b = begin; b < end; ++b) {
      const int64_t columns = std::min(kBlock, vocabulary_ - b * kBlock);
      pack_transposed_paired(data<T>(head_) + b * size, channels_, columns, channels_,
                             block.data());
      float* to = logits + b * padded_rows_ * kBlock;
      for (int64_t r = 0; r < padded_rows_; r += kBlock) {
        multiply(kBlock, kBlock, channels_, packed.data() + r * channels_, block.data(),
                 to + r * kBlock, false);
      }
      const int64_t at = b * padded_rows_;
      logit_statistics(to, rows_, columns, &largest[static_cast<size_t>(at)],
                       &position[static_cast<size_t>(at)], &sum[static_cast<size_t>(at)]);
    }
    finish_multiplying();
  });
  auto* log_sum = log_sum_.data_ptr<float>();
  auto* predictions = predictions_.data_ptr<int64_t>();
  for (int64_t r = 0; r < rows_; ++r) {
    float top = -INFINITY;
    double total = 0;
    for (int64_t b = 0; b < blocks_; ++b) {
      const auto i = static_cast<size_t>(b * padded_rows_ + r);
      if (largest[i] > top || b == 0) predictions[r] = b * kBlock + position[i];
      top = std::max(top, largest[i]);
    }
    for (int64_t b = 0; b < blocks_; ++b) {
      const auto i = static_cast<size_t>(b * padded_rows_ + r);
      total += static_cast<double>(sum[i]) * std::exp(static_cast<double>(largest[i]) - top);
    }
    log_sum[r] = static_cast<float>(top + std::log(total));
  }
}

Tensor CpuHead::cross_entropy(const Tensor& targets) {
  targets_ = targets.contiguous();
  const auto* target = targets_.const_data_ptr<int64_t>();
  const auto* logits = logits_.const_data_ptr<float>();
  ce_ = at::empty_like(log_sum_);
  for (int64_t r = 0; r < rows_; ++r) {
    const int64_t block = target[r] / kBlock, column = target[r] % kBlock;
    const float logit = logits[(block * padded_rows_ + r) * kBlock + column];
    ce_.data_ptr<float>()[r] = log_sum_.data_ptr<float>()[r] - logit;
  }
  return ce_;
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
  std::vector<LogitRow> row(static_cast<size_t>(padded_rows_), LogitRow{0, 0, 0, -1});
  for (int64_t r = 0; r < rows_; ++r) {
    const float f = data<float>(factor)[r];
    row[static_cast<size_t>(r)] = {data<float>(log_sum_)[r], f,
                                   f * std::expm1(-data<float>(ce_)[r]),
                                   data<int64_t>(targets_)[r]};
  }
  std::vector<T> hidden = zeros<T>(padded_rows_ * channels_);  // paired
  for (int64_t r = 0; r < rows_; r += kBlock) {
    pack_paired(data<T>(hidden_) + r * channels_, channels_, std::min(kBlock, rows_ - r), channels_,
                hidden.data() + r * channels_);
  }
  std::vector<float> parts =
      zeros<float>(grad_hidden.defined() ? kParts * padded_rows_ * channels_ : 0);
  float* to_head = grad_head.defined() ? grad_head.data_ptr<float>() : nullptr;
  at::parallel_for(0, kParts, 1, [&](int64_t begin, int64_t end) {
    std::vector<T> block = zeros<T>(size), gradient = zeros<T>(padded_rows_ * kBlock),
                   transposed = gradient;
    std::vector<float> tail = zeros<float>(size);
    for (int64_t b = begin * blocks_ / kParts; b < end * blocks_ / kParts; ++b) {
      int64_t part = begin;
      while ((part + 1) * blocks_ / kParts <= b) ++part;
      const int64_t columns = std::min(kBlock, vocabulary_ - b * kBlock);
      logit_gradient(data<float>(logits_) + b * padded_rows_ * kBlock, row.data(), padded_rows_,
                     b * kBlock, columns, gradient.data(), transposed.data());
      if (grad_hidden.defined()) {
        pack_paired(data<T>(head_) + b * size, channels_, columns, channels_, block.data());
        float* sum = parts.data() + part * padded_rows_ * channels_;
        for (int64_t r = 0; r < padded_rows_; r += kBlock) {
          multiply(kBlock, channels_, kBlock, gradient.data() + r * kBlock, block.data(),
                   sum + r * channels_, true);
        }
      }
      if (to_head == nullptr) continue;
      float* to = to_head + b * size;
      if (columns == kBlock) {
        multiply(kBlock, channels_, padded_rows_, transposed.data(), hidden.data(), to, true);
      } else {
        multiply(kBlock, channels_, padded_rows_, transposed.data(), hidden.data(), tail.data(),
                 false);
        for (int64_t i = 0; i < columns * channels_; ++i) to[i] += tail[static_cast<size_t>(i)];
      }
    }
    finish_multiplying();
  });
  if (grad_hidden.defined()) {
    sum_of(parts.data(), kParts, padded_rows_ * channels_, rows_ * channels_,
           static_cast<T*>(grad_hidden.data_ptr()));
  }
}

}  // namespace streamo::loss
