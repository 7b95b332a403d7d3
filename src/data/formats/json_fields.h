// Reading named fields of a JSON object with messages that name the field and the nearest right
// one.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "streamo/core/error.h"

namespace streamo::data {

// What a value is, for messages: "a string", "null" ...
std::string json_kind(const nlohmann::json& value);

// The key, outside `known`, that was probably meant to be `name`; "" when there is none.
std::string misspelt_key(const nlohmann::json& object, const std::string& name,
                         const std::vector<std::string>& known);

// Why `name`, which must be there, is not: the misspelt key when there is one, else the keys there
// are.
core::Fault missing_field(const nlohmann::json& object, const std::string& name,
                          const std::vector<std::string>& known, const std::string& where);

// "" when the field is absent or null; a Fault when it is not a string. `where` begins the message.
core::Result<std::string> text_field(const nlohmann::json& object, const char* name,
                                     const std::string& where);
// The same of a name or path, which reports repeat: at most kMaxNameBytes.
inline constexpr size_t kMaxNameBytes = 4096;
core::Result<std::string> name_field(const nlohmann::json& object, const char* name);

}  // namespace streamo::data
