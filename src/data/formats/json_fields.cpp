// Field access that answers a missing or mistyped key with the nearest key that is there.
#include "data/formats/json_fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/brief.h"
#include "core/suggest.h"

namespace streamo::data {

using nlohmann::json;

namespace {

constexpr size_t kMaxUnknown = 1000;  // fields that are looked through for a misspelt one
constexpr size_t kMaxListed = 12;     // in a message

}  // namespace

std::string json_kind(const json& value) {
  switch (value.type()) {
    case json::value_t::null:
      return "null";
    case json::value_t::object:
      return "an object";
    case json::value_t::array:
      return "an array";
    case json::value_t::string:
      return "a string";
    case json::value_t::boolean:
      return "true or false";
    default:
      return "a number";
  }
}

std::string misspelt_key(const json& object, const std::string& name,
                         const std::vector<std::string>& known) {
  std::vector<std::string> unknown;
  for (const auto& item : object.items()) {
    if (unknown.size() == kMaxUnknown) break;
    if (std::find(known.begin(), known.end(), item.key()) == known.end()) {
      unknown.push_back(item.key());
    }
  }
  return core::nearest_name(name, unknown);
}

core::Fault missing_field(const json& object, const std::string& name,
                          const std::vector<std::string>& known, const std::string& where) {
  const std::string misspelt = misspelt_key(object, name, known);
  if (!misspelt.empty()) {
    return {fmt::format("{}unknown field \"{}\", did you mean \"{}\"?", where, misspelt, name)};
  }
  std::vector<std::string> keys;
  for (const auto& item : object.items()) {
    keys.push_back(keys.size() == kMaxListed ? "..." : core::brief(item.key()));
    if (keys.size() > kMaxListed) break;
  }
  if (keys.empty()) keys.push_back("nothing");
  return {
      fmt::format("{}field \"{}\" is missing, there is: {}", where, name, fmt::join(keys, ", "))};
}

core::Result<std::string> text_field(const json& object, const char* name,
                                     const std::string& where) {
  const auto field = object.find(name);
  if (field == object.end() || field->is_null()) return std::string();
  if (!field->is_string()) {
    return core::Fault{
        fmt::format("{}field \"{}\" must be a string, not {}", where, name, json_kind(*field))};
  }
  return field->get<std::string>();
}

core::Result<std::string> name_field(const json& object, const char* name) {
  core::Result<std::string> text = text_field(object, name, "");
  if (text && text->size() > kMaxNameBytes) {
    return core::Fault{fmt::format("field \"{}\" has {} bytes, a name has at most {}", name,
                                   text->size(), kMaxNameBytes)};
  }
  return text;
}

}  // namespace streamo::data
