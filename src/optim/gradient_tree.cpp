// A binary counter of partial sums: two subtrees of the same height are added as soon as both
// exist.
#include "optim/gradient_tree.h"

namespace streamo::optim {
namespace {

void add_to(GradientTree::Gradients& sum, GradientTree::Gradients other) {
  const torch::NoGradGuard no_grad;
  for (size_t i = 0; i < sum.size(); ++i) {
    if (!sum[i].defined()) {
      sum[i] = std::move(other[i]);
    } else if (other[i].defined()) {
      sum[i].add_(other[i]);
    }
  }
}

}  // namespace

void GradientTree::add(Gradients leaf) {
  subtrees_.emplace_back(0, std::move(leaf));
  while (subtrees_.size() > 1 && subtrees_.back().first == subtrees_[subtrees_.size() - 2].first) {
    Gradients right = std::move(subtrees_.back().second);
    subtrees_.pop_back();
    add_to(subtrees_.back().second, std::move(right));
    ++subtrees_.back().first;
  }
}

GradientTree::Gradients GradientTree::take() {
  if (subtrees_.empty()) return {};
  while (subtrees_.size() > 1) {  // the last, incomplete ones first
    Gradients right = std::move(subtrees_.back().second);
    subtrees_.pop_back();
    add_to(subtrees_.back().second, std::move(right));
  }
  Gradients sum = std::move(subtrees_.back().second);
  subtrees_.clear();
  return sum;
}

}  // namespace streamo::optim
