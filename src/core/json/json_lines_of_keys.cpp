// A hand-written scanner that follows only brackets, strings and comments: the JSON library has
// already accepted the text.
#include "core/json/json_lines_of_keys.h"

#include <vector>

#include "core/brief.h"

namespace streamo::core {
namespace {

struct Scanner {
  std::string_view text;
  size_t at = 0;
  int line = 1;

  bool done() const { return at >= text.size(); }
  char take() {
    const char c = text[at++];
    if (c == '\n') ++line;
    return c;
  }
  void skip_comment() {  // `at` is behind the first slash
    if (text[at] == '/') {
      while (!done() && text[at] != '\n') take();
    } else {
      while (!done() && !(take() == '*' && !done() && text[at] == '/')) {
      }
      if (!done()) take();
    }
  }
  std::string string_rest() {  // `at` is behind the opening quote; escapes are kept as they stand
    std::string content;
    while (!done()) {
      char c = take();
      if (c == '"') break;
      content += c;
      if (c == '\\' && !done()) content += take();
    }
    return content;
  }
};

}  // namespace

std::map<std::string, int> find_key_lines(std::string_view text) {
  struct Level {
    bool is_object;
    std::string prefix;  // of the keys in it
  };
  std::map<std::string, int> line_of;
  std::vector<Level> levels;
  std::string last_string, last_key;
  int last_line = 1;
  Scanner scanner{text};
  while (!scanner.done()) {
    const char c = scanner.take();
    if (c == '/' && !scanner.done()) {
      scanner.skip_comment();
    } else if (c == '"') {
      last_line = scanner.line;
      last_string = scanner.string_rest();
    } else if (c == ':' && !levels.empty() && levels.back().is_object) {
      last_key = levels.back().prefix + last_string;
      line_of.emplace(last_key, last_line);
    } else if (c == '{' || c == '[') {
      levels.push_back({c == '{', levels.empty() ? "" : brief(last_key) + "."});
    } else if ((c == '}' || c == ']') && !levels.empty()) {
      levels.pop_back();
    }
  }
  return line_of;
}

}  // namespace streamo::core
