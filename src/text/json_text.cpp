// Finds an object or array in valid JSON text and inserts an element in the style of its
// neighbours.
#include "text/json_text.h"

#include <fmt/format.h>

#include "streamo/core/error.h"

namespace streamo::text {
namespace {

constexpr std::string_view kSpace = " \t\r\n";
constexpr size_t kNone = std::string_view::npos;

size_t skip_space(std::string_view text, size_t at) {
  return std::min(text.find_first_not_of(kSpace, at), text.size());
}

size_t skip_string(std::string_view text, size_t at) {
  for (++at; text[at] != '"'; ++at) {
    if (text[at] == '\\') ++at;
  }
  return at + 1;
}

// The end of the value at `at`.
size_t skip_value(std::string_view text, size_t at) {
  int depth = 0;
  do {
    const char character = text[at];
    if (character == '"') {
      at = skip_string(text, at);
      continue;
    }
    if (character == '{' || character == '[') ++depth;
    if (character == '}' || character == ']') --depth;
    ++at;
    if (depth == 0 && character != '}' && character != ']') {  // a number or a name
      at = std::min(text.find_first_of(",]} \t\r\n", at), text.size());
    }
  } while (depth > 0);
  return at;
}

// Where the value of a key of the object at `at` begins: of the last such key, as parsers have it.
size_t find_member(std::string_view text, size_t at, std::string_view key) {
  size_t found = kNone;
  if (text[at] != '{') return found;
  at = skip_space(text, at + 1);
  while (text[at] != '}') {
    const size_t end = skip_string(text, at);
    const size_t value = skip_space(text, skip_space(text, end) + 1);  // behind the colon
    if (text.substr(at + 1, end - at - 2) == key) found = value;
    at = skip_space(text, skip_value(text, value));
    if (text[at] == ',') at = skip_space(text, at + 1);
  }
  return found;
}

size_t find_container(std::string_view text, const std::vector<std::string_view>& path) {
  size_t at = skip_space(text, 0);
  for (const std::string_view key : path) {
    at = find_member(text, at, key);
    if (at == kNone) return kNone;
  }
  return text[at] == '{' || text[at] == '[' ? at : kNone;
}

}  // namespace

bool has_container(std::string_view text, const std::vector<std::string_view>& path) {
  return find_container(text, path) != kNone;
}

std::string with_appended(std::string_view text, const std::vector<std::string_view>& path,
                          std::string_view key, const nlohmann::ordered_json& value) {
  const size_t begin = find_container(text, path);
  STREAMO_CHECK(begin != kNone, "nothing to append to");
  const size_t first = skip_space(text, begin + 1);
  const size_t close = skip_value(text, begin) - 1;
  const std::string_view margin = text.substr(begin + 1, first - begin - 1);
  const bool in_lines = first != close && margin.find('\n') != kNone;
  std::string element = key.empty() ? "" : nlohmann::json(key).dump() + ": ";
  for (const char character : value.dump(in_lines ? 2 : -1)) {
    if (character == '\n') {
      element += margin;
    } else {
      element += character;
    }
  }
  if (first == close) {  // empty
    return fmt::format("{}{}{}", text.substr(0, begin + 1), element, text.substr(close));
  }
  const size_t end = text.find_last_not_of(kSpace, close - 1) + 1;
  return fmt::format("{},{}{}{}", text.substr(0, end), in_lines ? margin : " ", element,
                     text.substr(end));
}

}  // namespace streamo::text
