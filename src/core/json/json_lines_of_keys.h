// Where each key of a JSON text stands, which the JSON library does not tell.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace streamo::core {

// "section.key" -> line, from 1. `text` must be valid JSON (comments allowed).
std::map<std::string, int> find_key_lines(std::string_view text);

}  // namespace streamo::core
