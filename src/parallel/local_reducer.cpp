// Gradients of one rank.
#include "parallel/local_reducer.h"

namespace streamo::parallel {

Gradients LocalReducer::reduce() {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> gradients;
  for (size_t i = 0; i < flat_.size(); ++i) gradients.push_back(flat_.pop_grad(i));
  return flat_.finish(std::move(gradients));
}

}  // namespace streamo::parallel
