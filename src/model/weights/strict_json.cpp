// Reads the JSON files of a model directory through the parser for untrusted JSON.
#include "model/weights/strict_json.h"

#include "core/json/json.h"

namespace streamo::model {

nlohmann::json read_json_object(const std::filesystem::path& path) {
  return core::require_json_object(path, core::ErrorKind::kModel,
                                   "give a complete model directory");
}

}  // namespace streamo::model
