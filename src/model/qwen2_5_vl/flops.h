// The arithmetic of the family.
#pragma once

#include "model/qwen2_5_vl/config.h"
#include "streamo/model/flops.h"

namespace streamo::model::qwen2_5_vl {

Flops forward_flops(const Config& config, const Workload& work);

}  // namespace streamo::model::qwen2_5_vl
