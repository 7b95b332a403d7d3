// What a model directory says of its pictures, whichever file says it.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace streamo::model {

struct ImageProcessor {
  nlohmann::json settings;  // an object
  std::string file;         // for messages
};

// As transformers 5 looks: "image_processor" of processor_config.json, which it writes, else
// preprocessor_config.json. None where neither file is there. Throws core::Error{kModel} for a
// damaged one.
std::optional<ImageProcessor> find_image_processor(const std::filesystem::path& model_dir);

}  // namespace streamo::model
