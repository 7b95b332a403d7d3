// The 256-entry table and its inverse, computed at compile time.
#include "text/bpe/byte_alphabet.h"

#include <array>

#include "text/unicode/utf8.h"

namespace streamo::text {
namespace {

constexpr bool is_printable(int byte) {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

struct Alphabet {
  std::array<char32_t, 256> character{};
  std::array<int, 512> byte{};  // -1: stands for none
};

constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  for (int& byte : alphabet.byte) byte = -1;
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const char32_t character = is_printable(byte) ? static_cast<char32_t>(byte) : next++;
    alphabet.character[byte] = character;
    alphabet.byte[character] = byte;
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

std::optional<std::string> bytes_of_spelling(std::string_view spelled) {
  std::string bytes;
  for (size_t at = 0; at < spelled.size();) {
    const char32_t character = code_point_at(spelled, at);
    if (character >= kAlphabet.byte.size() || kAlphabet.byte[character] < 0) return std::nullopt;
    bytes += static_cast<char>(kAlphabet.byte[character]);
    at += character < 0x80 ? 1 : 2;
  }
  return bytes;
}

std::string spelling_of_byte(unsigned char byte) {
  std::string spelled;
  append_code_point(kAlphabet.character[byte], spelled);
  return spelled;
}

}  // namespace streamo::text
