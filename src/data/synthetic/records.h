// What is asked about an example clip, and the right answers, as raw annotations.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "data/synthetic/scene.h"

namespace streamo::data {

// About seven records, each one conversation about the clip; `video_path` as it shall stand in the
// file.
std::vector<nlohmann::ordered_json> annotate_clip(const Clip& clip, const std::string& video_name,
                                                  const std::string& video_path, core::Rng rng);

}  // namespace streamo::data
