// Where each key of a JSON text stands, which the JSON library does not tell.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace streamo::core {

struct KeyLines {
  std::map<std::string, int> line_of;  // "section.key" -> line, from 1
  std::vector<std::string> doubled;    // keys given twice
};

// `text` must be valid JSON (comments allowed).
KeyLines find_key_lines(std::string_view text);

}  // namespace streamo::core
