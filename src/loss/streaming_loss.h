// Cross-entropy on the supervised tokens, focal and class-balanced on the state tokens.
//
// Over supervised positions i with target y_i and probability p_i: CE_i = -log p_i, weight w_i = 1,
// but for the three state targets w_i = alpha_c (1 - p_i)^gamma with
//   alpha_c = (state targets in the scope / those of class c) / number of classes present.
// The gradient flows through (1 - p_i). Loss = sum_i w_i CE_i / N, N = supervised tokens of the
// whole step. Source: Streamo, arXiv 2512.21334, and its published loss. Focal: Lin et al., arXiv
// 1708.02002.
#pragma once

#include <torch/torch.h>

#include <array>
#include <cstdint>
#include <string>

namespace streamo::loss {

struct StreamingLossConfig {
  double gamma = 2.0;
  std::string alpha_scope = "micro_batch";  // micro_batch | sample | running
  int64_t chunk_rows = 1024;                // rows whose logits exist at one time
};

// The supervised rows of a micro-batch.
struct SupervisedRows {
  torch::Tensor hidden_states;  // [R, H], row i predicts targets[i]; may require grad
  torch::Tensor targets;        // [R] int64
  torch::Tensor states;         // [R] int64: -1 for text, else 0..2 (text::State)
  torch::Tensor samples;        // [R] int64: of the micro-batch (alpha_scope = sample)
};

struct LossTerms {
  torch::Tensor loss;         // scalar fp32, differentiable: sum w_i CE_i / N
  torch::Tensor token_loss;   // [R] fp32, CE_i without weight; detached
  torch::Tensor predictions;  // [R] int64, argmax; detached
  torch::Tensor weights;      // [R] fp32, w_i; detached
};

class StreamingLoss {
 public:
  explicit StreamingLoss(StreamingLossConfig config);

  // `denominator`: N. Logits are made chunk_rows at a time and never kept; the gradients of hidden
  // states and of `head_weight` [vocabulary, H] are computed in the same pass. All arithmetic on
  // logits in fp32.
  LossTerms operator()(const SupervisedRows& rows, const torch::Tensor& head_weight,
                       double denominator);

  // alpha_c of each row [R] fp32, 1 for text rows.
  torch::Tensor class_weights(const torch::Tensor& states, const torch::Tensor& samples) const;

  // State targets of all micro-batches of a step, before it is computed: what scope `running`
  // counts.
  void count_states(const std::array<double, 3>& targets);
  // Part of a checkpoint.
  std::array<double, 3> running_counts() const { return running_counts_; }
  void set_running_counts(const std::array<double, 3>& counts) { running_counts_ = counts; }

 private:
  StreamingLossConfig config_;
  std::array<double, 3> running_counts_{};
};

}  // namespace streamo::loss
