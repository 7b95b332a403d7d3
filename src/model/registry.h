// The model families, by the "model_type" of config.json. One line each in registry.cpp.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "streamo/model/vision_language_model.h"

namespace streamo::model {

std::shared_ptr<VisionLanguageModel> build_family(const nlohmann::json& config,
                                                  const std::string& file);

}  // namespace streamo::model
