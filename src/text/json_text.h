// Adds to a JSON file as text, so that all the rest of it stays as it is, byte for byte: numbers
// that no double holds, the order of keys, a vocabulary of megabytes.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace streamo::text {

// Whether valid JSON `text` has an array or object under these keys.
bool has_container(std::string_view text, const std::vector<std::string_view>& path);

// Valid JSON `text` with `value` behind the last element of the array or object under these keys,
// which must be there; in an object it gets `key`. Laid out as the elements before it.
std::string with_appended(std::string_view text, const std::vector<std::string_view>& path,
                          std::string_view key, const nlohmann::ordered_json& value);

}  // namespace streamo::text
