// The time below which no implementation of the step can get on this machine: its matrix products
// and attention, measured alone with the library's own kernels.
#pragma once

#include <torch/torch.h>

#include <cstdint>

#include "streamo/model/vision_language_model.h"

namespace streamo::bench {

struct StepShape {
  int64_t tokens = 0, patches = 0, pictures = 0, supervised = 0;
  int64_t heads = 0, kv_heads = 0, vision_heads = 0;
  bool checkpointing = false;
};

struct FloorSeconds {
  double linear = 0, head = 0, attention = 0;
  double total() const { return linear + head + attention; }
};

// One pass over every product of the step with the model's own weights, in its dtype: forward; the
// gradients of input and weight of what is trained; the forward again of what is recomputed. The
// frozen vision tower only forward.
FloorSeconds measure_floor(model::VisionLanguageModel& model, const StepShape& shape);

}  // namespace streamo::bench
