// Reading UTF-8 by hand: whole characters, and what to do with bytes that are none.
#pragma once

#include <string>
#include <string_view>

namespace streamo::text {

// Length in bytes of the character at `at` (< text.size()); where there is none, minus the length
// of the part to replace: the longest beginning of a character, else one byte (Unicode 15.0,
// section 3.9, table 3-8; so do Python, Rust and browsers).
int character_length(std::string_view text, size_t at);

// The character at `at` of well-formed text.
char32_t code_point_at(std::string_view text, size_t at);

void append_code_point(char32_t code_point, std::string& text);

// `text` itself where it is well-formed, else a copy in `storage` with U+FFFD for each part that is
// not.
std::string_view well_formed(std::string_view text, std::string& storage);

}  // namespace streamo::text
