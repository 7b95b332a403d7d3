// The beginning of a text in quotes, for a report line.
#pragma once

#include <string>

namespace streamo::data {

// Cut between UTF-8 characters.
inline std::string shorten(const std::string& text) {
  constexpr size_t kQuotedBytes = 60;
  if (text.size() <= kQuotedBytes) return '"' + text + '"';
  size_t end = kQuotedBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return '"' + text.substr(0, end) + "...\"";
}

}  // namespace streamo::data
