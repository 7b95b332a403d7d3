// Validates JSON against the declared fields. All assignments are made after all checks, so a file
// with an error changes nothing.
#include "core/json/config_schema.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/brief.h"
#include "core/io/file.h"
#include "core/json/dump_json.h"
#include "core/json/json.h"
#include "core/json/json_lines_of_keys.h"
#include "core/suggest.h"
#include "core/url.h"
#include "core/whole_number.h"
#include "streamo/core/error.h"

namespace streamo::core {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <typename... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

constexpr uint64_t kMaxConfigBytes = 4 << 20;
constexpr size_t kMaxProblems = 20;  // that are told at once

struct Problem {
  std::string text;
};

Json to_json_value(const ConfigSchema::Target& target) {
  return std::visit([](auto* value) { return Json(*value); }, target);
}

std::string type_name(const ConfigSchema::Target& target) {
  return std::visit(
      Overloaded{[](bool*) { return "true or false"; }, [](int64_t*) { return "whole number"; },
                 [](double*) { return "number"; }, [](std::string*) { return "string"; },
                 [](std::vector<std::string>*) { return "list of strings"; },
                 [](std::vector<double>*) { return "list of numbers"; }},
      target);
}

std::string allowed_text(const Allowed& allowed) {
  if (!allowed.choices.empty()) return fmt::format(" ({})", fmt::join(allowed.choices, " | "));
  const bool low = std::isfinite(allowed.min), high = std::isfinite(allowed.max);
  if (low && high) return fmt::format(" in [{}, {}]", allowed.min, allowed.max);
  if (low) return fmt::format(" >= {}", allowed.min);
  if (high) return fmt::format(" <= {}", allowed.max);
  return "";
}

// `${NAME}` -> the environment's value.
std::string expand_environment(const std::string& text) {
  std::string result;
  size_t at = 0;
  for (size_t open = 0; (open = text.find("${", at)) != std::string::npos;) {
    const size_t close = text.find('}', open);
    if (close == std::string::npos) break;
    const std::string name = text.substr(open + 2, close - open - 2);
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) throw Problem{fmt::format("the environment has no {}", name)};
    if (std::string_view(value).find("${") != std::string_view::npos) {
      throw Problem{fmt::format("takes {} from the environment, which holds ${{ itself", name)};
    }
    result += text.substr(at, open - at) + value;
    at = close + 1;
  }
  return result + text.substr(at);
}

void check_range(double value, const Allowed& allowed) {
  if (!(value >= allowed.min && value <= allowed.max)) {
    throw Problem{fmt::format("is {}, must be{}", value, allowed_text(allowed))};
  }
}

// Text that the run's own config.json could not hold. Paths may be any bytes but zero.
void check_storable(const std::string& text, bool is_path) {
  if (text.find('\0') != text.npos) throw Problem{"holds a zero byte"};
  if (is_path) return;
  try {
    (void)Json(text).dump();
  } catch (const Json::type_error&) {
    throw Problem{"is not UTF-8 text, which configs are written in"};
  }
}

std::string checked_path(const std::string& text, const Allowed& allowed, const fs::path& base) {
  if (text.empty() || fs::path(text).is_absolute()) return text;
  if (!is_url(text)) return (base / text).lexically_normal().string();
  if (!allowed.may_be_url) throw Problem{redact_source(text) + " is a URL, must be a path"};
  return text;
}

std::string checked_string(const Json& value, const Allowed& allowed, const fs::path& base) {
  std::string text = expand_environment(value.get<std::string>());
  if (!allowed.choices.empty() &&
      std::find(allowed.choices.begin(), allowed.choices.end(), text) == allowed.choices.end()) {
    throw Problem{fmt::format("is \"{}\", {}", brief(text), suggestion(text, allowed.choices))};
  }
  if (allowed.complaint) {
    if (std::string complaint = allowed.complaint(text); !complaint.empty()) {
      throw Problem{std::move(complaint)};
    }
  }
  if (allowed.is_path) text = checked_path(text, allowed, base);
  check_storable(text, allowed.is_path);
  return text;
}

// Checks `value` and returns what assigns it; throws Problem.
std::function<void()> checked_assignment(const ConfigSchema::Target& target, const Allowed& allowed,
                                         const Json& value, const fs::path& base) {
  const auto expect = [&](bool right) {
    if (!right)
      throw Problem{fmt::format("is {}, must be a {}", brief(dump_json(value)), type_name(target))};
  };
  return std::visit(Overloaded{[&](bool* to) -> std::function<void()> {
                                 expect(value.is_boolean());
                                 return [to, v = value.get<bool>()] { *to = v; };
                               },
                               [&](int64_t* to) -> std::function<void()> {
                                 expect(value.is_number());
                                 const std::optional<int64_t> whole = whole_number(value);
                                 expect(whole.has_value());
                                 check_range(static_cast<double>(*whole), allowed);
                                 return [to, whole] { *to = *whole; };
                               },
                               [&](double* to) -> std::function<void()> {
                                 expect(value.is_number());
                                 check_range(value.get<double>(), allowed);
                                 return [to, v = value.get<double>()] { *to = v; };
                               },
                               [&](std::string* to) -> std::function<void()> {
                                 expect(value.is_string());
                                 return [to, v = checked_string(value, allowed, base)] { *to = v; };
                               },
                               [&](std::vector<std::string>* to) -> std::function<void()> {
                                 std::vector<std::string> strings;
                                 const Json list = value.is_string()
                                                       ? Json::array({value})
                                                       : value;  // one path needs no brackets
                                 expect(list.is_array());
                                 for (const Json& element : list) {
                                   expect(element.is_string());
                                   strings.push_back(checked_string(element, allowed, base));
                                 }
                                 return [to, strings] { *to = strings; };
                               },
                               [&](std::vector<double>* to) -> std::function<void()> {
                                 expect(value.is_array() && value.size() == to->size());
                                 std::vector<double> numbers;
                                 for (const Json& element : value) {
                                   expect(element.is_number());
                                   check_range(element.get<double>(), allowed);
                                   numbers.push_back(element.get<double>());
                                 }
                                 return [to, numbers] { *to = numbers; };
                               }},
                    target);
}

// {"optim": {"lr": 1}} -> [("optim.lr", 1)]. {} is an empty section, but no value of a setting.
void flatten(const Json& object, const std::string& prefix,
             std::vector<std::pair<std::string, Json>>* out) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_object() && (prefix.empty() || !value.empty())) {
      flatten(value, brief(prefix + key) + ".", out);  // as find_key_lines() names it
    } else {
      out->emplace_back(prefix + key, value);
    }
  }
}

}  // namespace

void ConfigSchema::add(std::string key, Target target, std::string help, Allowed allowed) {
  std::string default_text = dump_json(to_json_value(target));
  fields_.push_back(
      {std::move(key), std::move(help), std::move(default_text), target, std::move(allowed)});
}

const ConfigSchema::Field* ConfigSchema::find(std::string_view key) const {
  for (const Field& field : fields_) {
    if (field.key == key) return &field;
  }
  return nullptr;
}

bool ConfigSchema::is_section(const std::string& key) const {
  return std::any_of(fields_.begin(), fields_.end(),
                     [&](const Field& field) { return field.key.starts_with(key + "."); });
}

// What to write instead of a value for all of it.
std::string ConfigSchema::section_text(const std::string& section) const {
  const auto first = std::find_if(fields_.begin(), fields_.end(), [&](const Field& field) {
    return field.key.starts_with(section + ".");
  });
  return fmt::format("is a section, with settings of its own such as {}", first->key);
}

std::vector<std::string> ConfigSchema::keys() const {
  std::vector<std::string> names;
  for (const Field& field : fields_) names.push_back(field.key);
  return names;
}

void ConfigSchema::load_file(const fs::path& path) {
  std::string text;
  try {
    text = read_file(path);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kData) throw;  // the machine's
    throw Error(ErrorKind::kConfig, error.summary(), {}, error.hint());
  }
  const Result<Json> json =
      parse_json<Json>(text, {.max_bytes = kMaxConfigBytes, .comments = true});
  if (!json) {
    throw Error(ErrorKind::kConfig, "not valid JSON: " + json.reason(), path.string(),
                "comments are allowed, trailing commas are not");
  }
  if (!json->is_object()) throw Error(ErrorKind::kConfig, "not a JSON object", path.string());

  const std::map<std::string, int> lines = find_key_lines(text);
  std::vector<std::string> problems;
  const auto complain = [&](const std::string& key, const std::string& what) {
    const auto line = lines.find(key);
    problems.push_back(fmt::format("{}:{}: {} {}", path.string(),
                                   line == lines.end() ? 0 : line->second, brief(key), what));
  };
  std::vector<std::pair<std::string, Json>> settings;
  flatten(*json, "", &settings);
  std::vector<std::function<void()>> assignments;
  for (const auto& [key, value] : settings) {
    if (problems.size() == kMaxProblems) break;
    const Field* field = find(key);
    if (field == nullptr) {
      complain(key, is_section(key) ? section_text(key)
                                    : "is not a setting, " + suggestion(key, keys()));
      continue;
    }
    try {
      const fs::path base = fs::absolute(path).parent_path();
      assignments.push_back(checked_assignment(field->target, field->allowed, value, base));
    } catch (const Problem& problem) {
      complain(key, problem.text);
    }
  }
  if (!problems.empty()) {
    throw Error(ErrorKind::kConfig, fmt::format("{}", fmt::join(problems, "\n       ")), "",
                "see `streamo config` for all settings");
  }
  for (const auto& assign : assignments) assign();
}

void ConfigSchema::apply_overrides(const std::vector<std::string>& assignments) {
  for (const std::string& assignment : assignments) {
    const size_t equals = assignment.find('=');
    if (equals == std::string::npos) {
      throw Error(ErrorKind::kUsage, "not a setting: " + assignment, "command line",
                  "write key=value, as in optim.lr=2e-5");
    }
    const std::string key = assignment.substr(0, equals), text = assignment.substr(equals + 1);
    const Field* field = find(key);
    if (field == nullptr) {
      if (is_section(key))
        throw Error(ErrorKind::kConfig, key + " " + section_text(key), "command line");
      throw Error(ErrorKind::kConfig, key + " is not a setting", "command line",
                  suggestion(key, keys()));
    }
    const Result<Json> parsed = parse_json<Json>(text);
    const bool wants_text = std::holds_alternative<std::string*>(field->target) ||
                            std::holds_alternative<std::vector<std::string>*>(field->target);
    const bool is_bare = !parsed || (wants_text && !parsed->is_array() && !parsed->is_string());
    const Json value = is_bare ? Json(text) : *parsed;
    try {
      checked_assignment(field->target, field->allowed, value, fs::current_path())();
    } catch (const Problem& problem) {
      throw Error(ErrorKind::kConfig, key + " " + problem.text, "command line",
                  "see `streamo config " + key + "`");
    }
  }
}

Json ConfigSchema::values() const {
  Json result = Json::object();
  for (const Field& field : fields_) {
    const size_t dot = field.key.find('.');
    result[field.key.substr(0, dot)][field.key.substr(dot + 1)] = to_json_value(field.target);
  }
  // Paths may be any bytes; what is kept in files and compared with them is UTF-8.
  return Json::parse(dump_json(result));
}

Json ConfigSchema::json_schema() const {
  Json sections = Json::object();
  for (const Field& field : fields_) {
    Json property = {{"description", field.help}, {"default", Json::parse(field.default_text)}};
    std::visit(Overloaded{[&](bool*) { property["type"] = "boolean"; },
                          [&](int64_t*) { property["type"] = "integer"; },
                          [&](double*) { property["type"] = "number"; },
                          [&](std::string*) { property["type"] = "string"; },
                          [&](std::vector<std::string>*) {
                            property["type"] = {"array", "string"};
                            property["items"] = {{"type", "string"}};
                          },
                          [&](std::vector<double>*) {
                            property["type"] = "array";
                            property["items"] = {{"type", "number"}};
                          }},
               field.target);
    Json& limited = property.contains("items") ? property["items"] : property;
    if (std::isfinite(field.allowed.min)) limited["minimum"] = field.allowed.min;
    if (std::isfinite(field.allowed.max)) limited["maximum"] = field.allowed.max;
    if (!field.allowed.choices.empty()) limited["enum"] = field.allowed.choices;
    const size_t dot = field.key.find('.');
    Json& section = sections[field.key.substr(0, dot)];
    section["type"] = "object";
    section["additionalProperties"] = false;
    section["properties"][field.key.substr(dot + 1)] = property;
  }
  return {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
          {"title", "A streamo run"},
          {"type", "object"},
          {"additionalProperties", false},
          {"properties", sections}};
}

std::string ConfigSchema::describe(std::string_view key) const {
  std::string text;
  for (const Field& field : fields_) {
    const bool wanted =
        key.empty() || field.key == key || field.key.starts_with(std::string(key) + ".");
    if (!wanted) continue;
    text += fmt::format("{:28} {}{}, default {}\n{:29}{}\n", field.key, type_name(field.target),
                        allowed_text(field.allowed), field.default_text, "", field.help);
  }
  if (text.empty()) {
    throw Error(ErrorKind::kConfig, std::string(key) + " is not a setting", "",
                suggestion(key, keys()));
  }
  return text;
}

}  // namespace streamo::core
