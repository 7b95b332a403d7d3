#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace streamo::text {

// Content of a file of a model directory. Throws core::Error{kModel} when there is none, and when
// it has more than 512 MiB: then it is not what its name says.
std::string read_model_file(const std::filesystem::path& path);

// The same as a JSON object. Throws core::Error{kModel} when it is none.
nlohmann::json read_model_json(const std::filesystem::path& path);

}  // namespace streamo::text
