// Parses untrusted JSON: the library's SAX parser behind limits on depth, numbers, names and bytes.
#include "core/json/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "core/brief.h"
#include "core/io/file.h"

namespace streamo::core {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kBytesOfAValue = 16;

// Reads a text and says how far it has been read, which the library tells for its own errors only.
class Cursor {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Cursor(const char* at, const char** farthest) : at_(at), farthest_(farthest) {}
  reference operator*() const { return *at_; }
  Cursor& operator++() {
    *farthest_ = ++at_;
    return *this;
  }
  Cursor operator++(int) {
    const Cursor before = *this;
    ++*this;
    return before;
  }
  bool operator==(const Cursor& other) const { return at_ == other.at_; }
  bool operator!=(const Cursor& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** farthest_;
};

// The part of the parser's message that a reader can use: its own position and name are left out,
// and what it read last, which may be a string of megabytes, is cut.
std::string parse_error_reason(const nlohmann::detail::exception& error) {
  const std::string_view text = error.what();
  size_t begin = std::min(text.find("syntax error"), text.find("number overflow"));
  if (begin == text.npos) begin = text.find("] ") == text.npos ? 0 : text.find("] ") + 2;
  return brief(text.substr(begin), 200);
}

// Hands the events on to `handler` as long as they are within the limits.
class Limits final : public JsonEvents {
 public:
  Limits(JsonEvents& handler, const JsonRules& rules)
      : handler_(handler), values_left_(rules.max_bytes / kBytesOfAValue) {}

  const std::string& complaint() const { return complaint_; }

  bool null() override { return count() && handler_.null(); }
  bool boolean(bool value) override { return count() && handler_.boolean(value); }
  bool number_integer(int64_t value) override { return count() && handler_.number_integer(value); }
  bool number_unsigned(uint64_t value) override {
    return count() && handler_.number_unsigned(value);
  }
  bool number_float(double value, const std::string& text) override {
    // The nearest double of 1e-400 is 0, which nobody meant who wrote it.
    if (value == 0 && text.find_first_of("123456789") < text.find_first_of("eE")) {
      return refuse("number underflow parsing '" + brief(text) + "'");
    }
    return count() && handler_.number_float(value, text);
  }
  bool string(std::string& value) override { return count() && handler_.string(value); }
  bool binary(nlohmann::json::binary_t& value) override { return handler_.binary(value); }
  bool start_object(size_t size) override {
    return count() && enter() && handler_.start_object(size);
  }
  bool start_array(size_t size) override {
    return count() && enter() && handler_.start_array(size);
  }
  bool end_object() override { return leave() && handler_.end_object(); }
  bool end_array() override { return leave() && handler_.end_array(); }
  bool key(std::string& key) override {
    if (key.size() <= kMaxJsonKeyBytes) return handler_.key(key);
    return refuse(
        fmt::format("a key of {} bytes, at most {} are read", key.size(), kMaxJsonKeyBytes));
  }
  bool parse_error(size_t byte, const std::string& token,
                   const nlohmann::detail::exception& error) override {
    refuse(parse_error_reason(error));
    return handler_.parse_error(byte, token, error);
  }

 private:
  bool refuse(std::string complaint) {
    complaint_ = std::move(complaint);
    return false;
  }
  bool count() {
    if (values_left_ == 0) return refuse("too many values");
    --values_left_;
    return true;
  }
  bool enter() {
    if (depth_ == kMaxJsonDepth) {
      return refuse(fmt::format("nested deeper than {} levels", kMaxJsonDepth));
    }
    ++depth_;
    return true;
  }
  bool leave() {
    --depth_;
    return true;
  }

  JsonEvents& handler_;
  uint64_t values_left_;
  size_t depth_ = 0;
  std::string complaint_;
};

std::string too_large(uint64_t bytes, const JsonRules& rules) {
  return fmt::format("has {} bytes, at most {} are read", bytes, rules.max_bytes);
}

// The Fault does not name the file.
template <typename Json>
Result<Json> read_file_as(const fs::path& path, const JsonRules& rules) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) return Fault{"no such file"};
  if (error) return Fault{error.message()};
  if (!fs::is_regular_file(status)) return Fault{"not a regular file"};
  const uintmax_t bytes = fs::file_size(path, error);
  if (error) return Fault{error.message()};
  if (bytes > rules.max_bytes) return Fault{too_large(bytes, rules)};
  try {
    Result<Json> json = parse_json<Json>(read_file(path), rules);
    if (!json) return Fault{"not readable JSON: " + json.reason()};
    return json;
  } catch (const Error& unreadable) {
    if (unreadable.kind() != ErrorKind::kData) throw;  // the machine's trouble, not the file's
    return Fault{unreadable.summary()};
  }
}

}  // namespace

std::optional<JsonComplaint> scan_json(std::string_view text, JsonEvents& handler,
                                       const JsonRules& rules) {
  if (text.size() > rules.max_bytes) return JsonComplaint{0, too_large(text.size(), rules)};
  // The library takes a zero byte for the end, and would not look at what follows.
  if (const size_t zero = text.find('\0'); zero != text.npos) {
    return JsonComplaint{zero, "a zero byte"};
  }
  const char* const begin = text.data();
  const char* at = begin;
  Limits limits(handler, rules);
  if (nlohmann::json::sax_parse(Cursor(begin, &at), Cursor(begin + text.size(), &at), &limits,
                                nlohmann::json::input_format_t::json, /*strict=*/true,
                                rules.comments)) {
    return std::nullopt;
  }
  const auto read = static_cast<size_t>(at - begin);
  return JsonComplaint{read > 0 ? read - 1 : 0, limits.complaint()};
}

template <typename Json>
Result<Json> parse_json(std::string_view text, const JsonRules& rules) {
  JsonBuilder<Json> builder;
  const auto complaint = scan_json(text, builder, rules);
  if (!complaint) return builder.take();
  return Fault{fmt::format("{}: {}", place_in(text, complaint->byte),
                           complaint->what.empty() ? builder.complaint() : complaint->what)};
}

template <typename Json>
Result<Json> read_json(const fs::path& path, const JsonRules& rules) {
  Result<Json> json = read_file_as<Json>(path, rules);
  if (!json) return Fault{fmt::format("{}: {}", path.string(), json.reason())};
  return json;
}

template <typename Json>
Json require_json_object(const fs::path& path, ErrorKind kind, const std::string& hint,
                         const JsonRules& rules) {
  Result<Json> json = read_file_as<Json>(path, rules);
  if (!json) throw Error(kind, json.reason(), path.string(), hint);
  if (!json->is_object()) throw Error(kind, "not a JSON object", path.string(), hint);
  return *std::move(json);
}

template Result<nlohmann::json> parse_json(std::string_view, const JsonRules&);
template Result<nlohmann::ordered_json> parse_json(std::string_view, const JsonRules&);
template Result<nlohmann::json> read_json(const fs::path&, const JsonRules&);
template Result<nlohmann::ordered_json> read_json(const fs::path&, const JsonRules&);
template nlohmann::json require_json_object(const fs::path&, ErrorKind, const std::string&,
                                            const JsonRules&);
template nlohmann::ordered_json require_json_object(const fs::path&, ErrorKind, const std::string&,
                                                    const JsonRules&);

std::string place_in(std::string_view text, size_t byte) {
  const std::string_view before = text.substr(0, byte);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const size_t start = before.rfind('\n');
  return fmt::format("line {}, column {}", line, start == before.npos ? byte + 1 : byte - start);
}

}  // namespace streamo::core
