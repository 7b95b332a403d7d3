// The beginning of a text, where a message names it.
#pragma once

#include <string>
#include <string_view>

namespace streamo::core {

// Cut between UTF-8 characters, with "..." behind it, where `text` has more than `bytes`.
inline std::string brief(std::string_view text, size_t bytes = 80) {
  if (text.size() <= bytes) return std::string(text);
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) --bytes;
  return std::string(text.substr(0, bytes)) + "...";
}

}  // namespace streamo::core
