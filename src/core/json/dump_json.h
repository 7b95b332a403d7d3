// JSON as text, where file names or a model's words stand in it.
#pragma once

#include <string>

namespace streamo::core {

// As json.dump(indent), which throws for a string that is not UTF-8: here its wrong bytes become
// U+FFFD. `indent` -1: on one line.
template <typename Json>
std::string dump_json(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace streamo::core
