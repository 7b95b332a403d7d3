// Validating decoder. An ill-formed sequence becomes one U+FFFD for its maximal prefix, as in Rust
// and Python.
#include "text/unicode/utf8.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace streamo::text {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

// Where the first byte at or behind `at` is that does not belong to a well-formed character.
size_t first_fault(std::string_view text, size_t at) {
  while (at < text.size()) {
    uint64_t eight;
    if (text.size() - at >= sizeof(eight)) {
      std::memcpy(&eight, text.data() + at, sizeof(eight));
      if ((eight & 0x8080808080808080u) == 0) {  // eight ASCII characters
        at += sizeof(eight);
        continue;
      }
    }
    const int length = character_length(text, at);
    if (length < 0) return at;
    at += static_cast<size_t>(length);
  }
  return at;
}

}  // namespace

int character_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) -> int {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  const int lead = byte(at);
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return -1;
  const int length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  // The second byte is bounded more tightly where the character would be overlong, a surrogate, or
  // beyond U+10FFFF.
  int low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  int high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  for (int i = 1; i < length; ++i) {
    const int next = byte(at + static_cast<size_t>(i));
    if (next < low || next > high) return -i;
    low = 0x80;
    high = 0xbf;
  }
  return length;
}

char32_t code_point_at(std::string_view text, size_t at) {
  const auto bits = [&](size_t i, unsigned mask) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[at + i]) & mask);
  };
  switch (character_length(text, at)) {
    case 2:
      return bits(0, 0x1f) << 6 | bits(1, 0x3f);
    case 3:
      return bits(0, 0x0f) << 12 | bits(1, 0x3f) << 6 | bits(2, 0x3f);
    case 4:
      return bits(0, 0x07) << 18 | bits(1, 0x3f) << 12 | bits(2, 0x3f) << 6 | bits(3, 0x3f);
    default:
      return bits(0, 0x7f);
  }
}

void append_code_point(char32_t code_point, std::string& text) {
  const auto tail = [&](int shift) {
    text += static_cast<char>(0x80 | (code_point >> shift & 0x3f));
  };
  if (code_point < 0x80) {
    text += static_cast<char>(code_point);
  } else if (code_point < 0x800) {
    text += static_cast<char>(0xc0 | code_point >> 6);
    tail(0);
  } else if (code_point < 0x10000) {
    text += static_cast<char>(0xe0 | code_point >> 12);
    tail(6);
    tail(0);
  } else {
    text += static_cast<char>(0xf0 | code_point >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

std::string_view well_formed(std::string_view text, std::string& storage) {
  size_t fault = first_fault(text, 0);
  if (fault == text.size()) return text;
  storage.clear();
  for (size_t done = 0;;) {
    storage.append(text, done, fault - done);
    if (fault == text.size()) return storage;
    storage.append(kReplacement);
    done = fault + static_cast<size_t>(-character_length(text, fault));
    fault = first_fault(text, done);
  }
}

}  // namespace streamo::text
