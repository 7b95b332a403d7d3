// The JSON files of a model directory: config.json, the index of its shards.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

namespace streamo::model {

// Reads a JSON object. Throws core::Error{kModel} naming the file when it is missing, no JSON
// object, names a key twice or nests deeper than any such file (core/json/json.h).
nlohmann::json read_json_object(const std::filesystem::path& path);

}  // namespace streamo::model
