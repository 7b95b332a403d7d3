// The JSON files of a model directory: config.json, the index of its shards.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

namespace streamo::model {

// Reads a JSON object. Throws core::Error{kModel} naming the file when it is missing, no JSON
// object, names a key twice (the JSON library would keep the last without a word), or nests deeper
// than any such file (copying and printing a document recurse).
nlohmann::json read_json_object(const std::filesystem::path& path);

}  // namespace streamo::model
