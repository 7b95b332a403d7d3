// The reader of all JSON that this process has not written itself: configs, model files,
// checkpoints, results, annotations.
//
// The JSON library alone is no reader of strangers' files: copying and printing what it has read
// recurse (a document nested a million deep ends the program), its callbacks look through all
// siblings at each bracket (quadratic time), objects that keep their order are searched from the
// front for each key (likewise), and of a key given twice it silently keeps the last.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "streamo/core/error.h"

namespace streamo::core {

inline constexpr size_t kMaxJsonDepth = 128;
inline constexpr size_t kMaxJsonKeyBytes = 4096;  // a longer key is none, and messages repeat keys

struct JsonRules {
  uint64_t max_bytes = 64u << 20;  // of the text; a value for each 16 of them at most
  bool comments = false;
};

// Where and why a text was refused.
struct JsonComplaint {
  size_t byte = 0;
  std::string what;
};

using JsonEvents = nlohmann::json_sax<nlohmann::json>;

// Tells the events of a text one by one, in linear time and constant memory. A handler that returns
// false ends it; the complaint is then empty. The limits hold whatever the handler is.
std::optional<JsonComplaint> scan_json(std::string_view text, JsonEvents& handler,
                                       const JsonRules& rules = {});

// The whole document; `Json` is nlohmann::json or nlohmann::ordered_json. The Fault says "line 3,
// column 7: why".
template <typename Json = nlohmann::json>
Result<Json> parse_json(std::string_view text, const JsonRules& rules = {});

// The same of a file. The Fault begins with its path; one that is not there or no regular file is a
// Fault too.
template <typename Json = nlohmann::json>
Result<Json> read_json(const std::filesystem::path& path, const JsonRules& rules = {});

// Of a file without which nothing can go on: throws Error{kind} where it cannot be read or holds
// something else than an object.
template <typename Json = nlohmann::json>
Json require_json_object(const std::filesystem::path& path, ErrorKind kind, const std::string& hint,
                         const JsonRules& rules = {});

// "line 3, column 7" of a byte of the text.
std::string place_in(std::string_view text, size_t byte);

// Makes the document of the events. Derive from it to take some of them for yourself.
template <typename Json>
class JsonBuilder : public JsonEvents {
 public:
  Json take() { return std::move(root_); }
  // Why an event was refused; empty: it was not.
  const std::string& complaint() const { return complaint_; }

  bool null() override { return put(nullptr) != nullptr; }
  bool boolean(bool value) override { return put(value) != nullptr; }
  bool number_integer(int64_t value) override { return put(value) != nullptr; }
  bool number_unsigned(uint64_t value) override { return put(value) != nullptr; }
  bool number_float(double value, const std::string& /*text*/) override {
    return put(value) != nullptr;
  }
  bool string(std::string& value) override { return put(std::move(value)) != nullptr; }
  bool binary(nlohmann::json::binary_t& /*value*/) override { return false; }
  bool start_object(size_t /*size*/) override { return open(Json::object()); }
  bool start_array(size_t /*size*/) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(std::string& key) override {
    Level& level = open_.back();
    if (!level.keys.insert(key).second) {
      complaint_ = "key " + Json(key).dump() + " is given twice in one object";
      return false;
    }
    auto& object = level.value->template get_ref<typename Json::object_t&>();
    if constexpr (std::is_same_v<Json, nlohmann::json>) {
      level.next = &object.emplace(std::move(key), nullptr).first->second;
    } else {  // emplace() would look through all keys before this one
      level.next = &object.emplace_back(std::move(key), nullptr).second;
    }
    return true;
  }
  bool parse_error(size_t /*byte*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    return false;
  }

 protected:
  size_t depth() const { return open_.size(); }  // of brackets that are open

 private:
  struct Level {
    Json* value;
    Json* next = nullptr;  // in an object: the place of its next value
    std::set<std::string> keys = {};
  };

  Json* put(Json value) {
    if (open_.empty()) return &(root_ = std::move(value));
    Level& level = open_.back();
    if (level.value->is_object()) return &(*level.next = std::move(value));
    auto& array = level.value->template get_ref<typename Json::array_t&>();
    return &array.emplace_back(std::move(value));
  }
  bool open(Json container) {
    open_.push_back({put(std::move(container))});
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  Json root_;
  std::vector<Level> open_;
  std::string complaint_;
};

}  // namespace streamo::core
