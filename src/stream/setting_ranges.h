// What a setting of a model's conversations may be: the same in a run's config, which a model is
// trained by, and in streamo.json, which it is used by.
#pragma once

#include "core/json/config_schema.h"
#include "model/hf_directory.h"

namespace streamo::stream {

inline core::Allowed fps_range() {
  return core::between(0.01, 1000);
}
inline core::Allowed pixel_limit_range() {
  return core::between(0, model::kMaxPixelLimit);
}
inline core::Allowed resize_choices() {
  return core::one_of({"fast", "exact"});
}
inline core::Allowed round_count_range() {
  return core::between(0, 1 << 20);
}

}  // namespace streamo::stream
