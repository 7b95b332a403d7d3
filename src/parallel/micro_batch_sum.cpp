// Sums of micro-batches: a binary counter of subtrees, or one running sum.
#include "parallel/micro_batch_sum.h"

namespace streamo::parallel {

using torch::Tensor;

void MicroBatchSum::merge_last_two() {
  const torch::NoGradGuard no_grad;
  const std::vector<Tensor> right = std::move(subtrees_.back().sum);
  subtrees_.pop_back();
  Subtree& left = subtrees_.back();
  ++left.level;
  for (size_t i = 0; i < left.sum.size(); ++i) {
    if (!left.sum[i].defined()) {
      left.sum[i] = right[i];
    } else if (right[i].defined()) {
      left.sum[i].add_(right[i]);
    }
  }
}

void MicroBatchSum::add(std::vector<Tensor> gradients) {
  subtrees_.push_back({.sum = std::move(gradients)});
  const auto due = [&] {
    const size_t count = subtrees_.size();
    return count > 1 && (order_ == SumOrder::kSequential ||
                         subtrees_[count - 1].level == subtrees_[count - 2].level);
  };
  while (due()) merge_last_two();
}

std::vector<Tensor> MicroBatchSum::take() {
  while (subtrees_.size() > 1) merge_last_two();  // the incomplete ones first
  if (subtrees_.empty()) return {};
  std::vector<Tensor> sum = std::move(subtrees_.back().sum);
  subtrees_.clear();
  return sum;
}

}  // namespace streamo::parallel
