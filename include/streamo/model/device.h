// Where a model computes.
#pragma once

#include <torch/torch.h>

namespace streamo::model {

// A CUDA GPU if LibTorch sees one, else the CPU. `local_rank`: of several processes of this machine
// each takes one of its own; throws core::Error{kUsage} when there are too few.
torch::Device available_device(int local_rank = 0);

}  // namespace streamo::model
