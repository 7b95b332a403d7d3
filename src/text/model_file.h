#pragma once

#include <filesystem>
#include <string>

namespace streamo::text {

// Content of a file of a model directory. Throws core::Error{kModel} when there is none, and when
// it has more than 512 MiB: then it is not what its name says.
std::string read_model_file(const std::filesystem::path& path);

}  // namespace streamo::text
