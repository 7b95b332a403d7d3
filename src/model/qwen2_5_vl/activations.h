// The arithmetic of the family.
#pragma once

#include "model/qwen2_5_vl/config.h"
#include "streamo/model/activations.h"
#include "streamo/model/flops.h"

namespace streamo::model::qwen2_5_vl {

Activations activations(const Config& config, const Workload& work, const Training& training);

}  // namespace streamo::model::qwen2_5_vl
