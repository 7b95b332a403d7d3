// Reading annotation and result files of benchmarks, so that what is wrong is named.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "eval/benchmark.h"

namespace streamo::eval {

// A whole file, one JSON value or JSON Lines (then an array of them). A last line that is not
// whole and has no newline is passed over with a warning. Throws core::Error{kData}.
nlohmann::json read_json_or_lines(const std::filesystem::path& path);

// Calls `read`, and turns what it throws about a value (missing, of another type) into a
// core::Error{kData} that names file and entry.
void read_entry(const std::filesystem::path& path, const std::string& entry,
                const std::function<void()>& read);

// "00:01:05" or "01:05" as seconds. Throws std::runtime_error for anything else.
double clock_seconds(const std::string& text);

// An id as text, whatever its type.
std::string id_text(const nlohmann::json& id);

// The letter of option `index`: A, B, ...
std::string option_letter(int64_t index);

}  // namespace streamo::eval
