// Escapes the characters of untrusted text that a terminal would interpret.
#include "core/printable.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace streamo::core {
namespace {

struct Character {
  uint32_t code = 0;
  size_t length = 0;  // in bytes; 0: no UTF-8
};

// Well-formed ones only (Unicode 15.0, table 3-7): no overlong forms, no surrogates.
Character character_at(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[at + i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return {first, 1};
  const size_t length = first >= 0xC2 && first < 0xE0   ? 2
                        : (first & 0xF0) == 0xE0        ? 3
                        : first >= 0xF0 && first < 0xF5 ? 4
                                                        : 0;
  if (length == 0 || at + length > text.size()) return {};
  uint32_t code = first & (0xFFU >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3FU);
  }
  const bool is_overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool is_surrogate = code >= 0xD800 && code < 0xE000;
  return is_overlong || is_surrogate || code > 0x10FFFF ? Character{} : Character{code, length};
}

bool steers(uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) ||       // C0, DEL, C1
         code == 0x61C || code == 0x200E || code == 0x200F ||  // marks of direction
         (code >= 0x2028 && code <= 0x202E) ||  // line and paragraph ends, embeddings, overrides
         (code >= 0x2066 && code <= 0x2069);    // isolates
}

std::string written_out(std::string_view text, std::string_view kept) {
  const auto is_plain = [&](char c) {
    return (c >= ' ' && c < 0x7F) || kept.find(c) != std::string_view::npos;
  };
  if (std::all_of(text.begin(), text.end(), is_plain)) return std::string(text);
  std::string shown;
  for (size_t at = 0; at < text.size();) {
    const Character character = character_at(text, at);
    const size_t length = std::max<size_t>(character.length, 1);
    if (character.length == 0) {
      shown += fmt::format("\\x{:02x}", static_cast<uint8_t>(text[at]));
    } else if (steers(character.code) && !is_plain(text[at])) {
      shown += fmt::format("\\u{:04x}", character.code);
    } else {
      shown += text.substr(at, length);
    }
    at += length;
  }
  return shown;
}

}  // namespace

std::string printable(std::string_view text) {
  return written_out(text, "\n\t");
}

std::string printable_line(std::string_view text) {
  return written_out(text, "");
}

}  // namespace streamo::core
