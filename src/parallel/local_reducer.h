// The gradients of one rank, summed over micro-batches by autograd as they come.
#pragma once

#include "parallel/gradient_reducer.h"

namespace streamo::parallel {

class LocalReducer final : public GradientReducer {
 public:
  explicit LocalReducer(std::vector<model::NamedParameter> parameters)
      : GradientReducer(std::move(parameters), Sharding(), SumOrder::kSequential) {}

  Gradients reduce() override;
};

}  // namespace streamo::parallel
