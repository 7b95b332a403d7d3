#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace streamo::text {

inline constexpr uint64_t kMaxModelFileBytes = uint64_t{128} << 20;

// Content of a file of a model directory. Throws core::Error{kModel} when there is none, and when
// it has more than 128 MiB: then it is not what its name says.
std::string read_model_file(const std::filesystem::path& path);

// The same as a JSON object. Throws core::Error{kModel} when it is none.
nlohmann::json read_model_json(const std::filesystem::path& path);

}  // namespace streamo::text
