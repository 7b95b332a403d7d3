// One schema per program: names, types, defaults, ranges and help of all settings, declared once.
//
// From that one declaration come parsing, validation with file, line and the nearest right key,
// command-line overrides (`optim.lr=2e-5`), the effective config, help texts and the JSON Schema
// for editors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace streamo::core {

// What a value may be beyond its type.
struct Allowed {
  double min = -std::numeric_limits<double>::infinity();  // numbers, both ends included
  double max = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices = {};  // strings
  bool is_path = false;     // strings: relative ones are taken from the config file's folder
  bool may_be_url = false;  // a path may
  // Strings: what is wrong with one, "" when nothing is.
  std::function<std::string(const std::string&)> complaint = {};
};
inline Allowed at_least(double min) {
  return {.min = min};
}
inline Allowed between(double min, double max) {
  return {.min = min, .max = max};
}
inline Allowed one_of(std::vector<std::string> choices) {
  return {.choices = std::move(choices)};
}
inline Allowed a_path() {
  return {.is_path = true};
}
inline Allowed a_path_or_url() {
  return {.is_path = true, .may_be_url = true};
}

class ConfigSchema {
 public:
  // The target's value at the time of the call is the default. Keys are "section.name".
  using Target = std::variant<bool*, int64_t*, double*, std::string*, std::vector<std::string>*,
                              std::vector<double>*>;
  void add(std::string key, Target target, std::string help, Allowed allowed = {});

  // JSON with comments. Unknown or doubled keys, wrong types and values out of range are all
  // collected and thrown as one core::Error{kConfig}; nothing is assigned then. `${NAME}` in
  // strings is the environment's.
  void load_file(const std::filesystem::path& path);
  // `key=value`; value is JSON or, for strings, bare text. Relative paths are taken from the
  // working folder.
  void apply_overrides(const std::vector<std::string>& assignments);

  nlohmann::ordered_json values() const;       // the effective config, all keys
  nlohmann::ordered_json json_schema() const;  // draft 2020-12
  // One line a key ("optim.lr  number >= 0, default 1e-05: ..."); all keys when `key` is empty, a
  // section's keys for a section. Throws core::Error{kConfig} for an unknown one.
  std::string describe(std::string_view key = {}) const;
  std::vector<std::string> keys() const;

 private:
  struct Field {
    std::string key, help, default_text;
    Target target;
    Allowed allowed;
  };
  const Field* find(std::string_view key) const;
  bool is_section(const std::string& key) const;
  std::string section_text(const std::string& section) const;
  std::vector<Field> fields_;
};

}  // namespace streamo::core
