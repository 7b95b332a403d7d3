// A tree over micro-batches, then over ranks.
#include "parallel/deterministic_reducer.h"

namespace streamo::parallel {

using torch::Tensor;

void DeterministicReducer::end_micro_batch() {
  std::vector<Tensor> leaf;
  for (size_t i = 0; i < flat_.size(); ++i) leaf.push_back(flat_.pop_grad(i));
  tree_.add(std::move(leaf));
}

Gradients DeterministicReducer::reduce() {
  const torch::NoGradGuard no_grad;
  std::vector<Tensor> sums = tree_.take();
  sums.resize(flat_.size());  // a rank without a micro-batch adds nothing
  if (!flat_.alone()) sums = flat_.shards().reduce_scatter(std::move(sums), flat_.dtype());
  return flat_.finish(std::move(sums));
}

}  // namespace streamo::parallel
