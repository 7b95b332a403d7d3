// What all kinds of reducers share, and the choice of one.
#include "parallel/gradient_reducer.h"

#include <ATen/ops/_foreach_mul.h>

#include <cmath>

#include "parallel/deterministic_reducer.h"
#include "parallel/fully_sharded_reducer.h"
#include "parallel/gradient_norm.h"
#include "parallel/local_reducer.h"
#include "parallel/overlapped_reducer.h"

namespace streamo::parallel {

using torch::Tensor;

double GradientReducer::clip_grad_norm(const Gradients& gradients, double max_norm) const {
  const torch::NoGradGuard no_grad;
  const FlatShards& shards = flat_.all().shards;
  const double norm = order_ == SumOrder::kTree ? grad_norm_in_fixed_order(gradients.owned, shards)
                                                : grad_norm(gradients.owned, shards);
  // The small constant is torch's own, kept so that a clipped run equals a PyTorch one.
  const double scale = max_norm / (norm + 1e-6);
  if (max_norm <= 0 || !std::isfinite(norm) || scale >= 1.0) return norm;
  std::vector<Tensor> here;
  for (const Tensor& gradient : gradients.values) {
    if (gradient.defined() && gradient.numel() > 0) here.push_back(gradient);
  }
  if (!here.empty()) at::_foreach_mul_(here, scale);
  return norm;
}

void GradientReducer::publish(const Gradients& gradients) {
  const torch::NoGradGuard no_grad;
  if (flat_.sharded()) flat_.all_gather_params(flat_.all(), gradients);
  flat_.write_rows(gradients);
}

std::unique_ptr<GradientReducer> make_gradient_reducer(
    std::vector<model::NamedParameter> parameters, model::VisionLanguageModel& model,
    Sharding sharding, SumOrder order) {
  const bool alone = sharding.ranks->size() == 1;
  if (!alone && traits(sharding.mode).shards_blocks)
    return std::make_unique<FullyShardedReducer>(std::move(parameters), model, std::move(sharding),
                                                 order);
  if (order == SumOrder::kTree)
    return std::make_unique<DeterministicReducer>(std::move(parameters), std::move(sharding));
  if (alone) return std::make_unique<LocalReducer>(std::move(parameters));
  return std::make_unique<OverlappedReducer>(std::move(parameters), model, std::move(sharding));
}

}  // namespace streamo::parallel
