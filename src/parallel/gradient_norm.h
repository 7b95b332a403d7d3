// The 2-norm of gradients whose numbers are spread over the ranks of a shard group.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "parallel/flat_shards.h"

namespace streamo::parallel {

// Collective. owned[i]: this rank's shard of tensor i, fp32, undefined on all ranks for none.
double grad_norm(const std::vector<torch::Tensor>& owned, const FlatShards& shards);
// The same, added up in double in an order that does not depend on the number of ranks.
double grad_norm_in_fixed_order(const std::vector<torch::Tensor>& owned, const FlatShards& shards);

}  // namespace streamo::parallel
