// Head and cross-entropy over a large vocabulary on the CPU: two passes over the head, block of the
// vocabulary by block, with LibTorch's small matrix products (oneDNN micro-kernels).
//
// bf16 operands are multiplied as they are, with fp32 sums: no fp32 copy of the head. Logits and
// everything made of them stay fp32, until their gradient is rounded to the type of the head for
// the last two products (as on CUDA).
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <vector>

namespace streamo::loss {

class CpuHead {
 public:
  // AVX-512, head and hidden states both fp32 or both bf16 (then AVX-512 BF16 too), contiguous,
  // whole vectors of channels, and a vocabulary that is worth it.
  static bool applies(const torch::Tensor& hidden, const torch::Tensor& head);

  // hidden [R, H], head [V, H], targets [R] int64. Goes through all logits of these rows once; they
  // are never held, add_gradients makes them again.
  CpuHead(const torch::Tensor& hidden, const torch::Tensor& head, const torch::Tensor& targets);

  const torch::Tensor& cross_entropy() const { return ce_; }         // [R] fp32
  const torch::Tensor& predictions() const { return predictions_; }  // [R] int64, largest logit

  // For d loss / d logits of row i = factor_i (p - onehot(target_i)), factor [R] fp32:
  // the gradient of the hidden states -> grad_hidden [R, H] (type of hidden), of the head added to
  // grad_head [V, H] fp32. Undefined ones are left out. Same bits for any number of threads.
  void add_gradients(const torch::Tensor& factor, const torch::Tensor& grad_hidden,
                     const torch::Tensor& grad_head) const;

 private:
  template <typename T>
  void compute_statistics();
  template <typename T>
  void gradients(const torch::Tensor& factor, const torch::Tensor& grad_hidden,
                 const torch::Tensor& grad_head) const;
  // Logits of block `block` of the vocabulary for all rows, [padded rows][kBlock]; `head` is room
  // for the block of the head.
  template <typename T>
  void block_logits(const std::vector<T>& hidden, int64_t block, std::vector<T>& head,
                    float* logits) const;
  // The rows, padded with zeros.
  template <typename T>
  std::vector<T> padded_hidden() const;
  int64_t columns(int64_t block) const;

  torch::Tensor hidden_, head_, targets_;
  int64_t rows_, padded_rows_, channels_, vocabulary_, blocks_;
  torch::Tensor log_sum_, ce_;  // [R] fp32
  torch::Tensor predictions_;   // [R] int64
};

}  // namespace streamo::loss
