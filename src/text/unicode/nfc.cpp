// utf8proc on the stretches that can change. Its tables are newer than those of the reference, so
// characters the reference does not know pass through.
#include "text/unicode/nfc.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "streamo/core/error.h"
#include "text/unicode/unicode_ranges.h"
#include "text/unicode/utf8.h"

namespace streamo::text {
namespace {

// Characters below U+0300 are all in normal form and stay so unless a higher one follows; those
// begin with this byte or a greater one.
constexpr unsigned char kFirstByteOf0300 = 0xcc;

size_t find_changeable(std::string_view text, size_t at) {
  while (at < text.size() && static_cast<unsigned char>(text[at]) < kFirstByteOf0300) ++at;
  return at;
}

bool is_continuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xc0) == 0x80;
}

void append_composed(std::string_view text, std::string& out) {
  if (text.empty()) return;
  utf8proc_uint8_t* composed = nullptr;
  const utf8proc_ssize_t length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &composed,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(composed, &std::free);
  STREAMO_CHECK(length >= 0, utf8proc_errmsg(length));
  out.append(reinterpret_cast<const char*>(composed), static_cast<size_t>(length));
}

// Between characters that are opaque, each part by itself.
void append_nfc(std::string_view text, std::string& out) {
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const auto length = static_cast<size_t>(character_length(text, at));
    if (contains(kOpaqueToNfc, code_point_at(text, at))) {
      append_composed(text.substr(begin, at - begin), out);
      out.append(text, at, length);
      begin = at + length;
    }
    at += length;
  }
  append_composed(text.substr(begin), out);
}

}  // namespace

std::string_view nfc(std::string_view text, std::string& storage) {
  size_t changeable = find_changeable(text, 0);
  if (changeable == text.size()) return text;
  storage.clear();
  for (size_t done = 0;;) {
    // The character before may compose with the one found; an ASCII character never composes with
    // what stands before it.
    size_t begin = changeable;
    if (begin > done) --begin;
    while (begin > done && is_continuation(text[begin])) --begin;
    size_t end = changeable;
    while (end < text.size() && static_cast<unsigned char>(text[end]) >= 0x80) ++end;
    storage.append(text, done, begin - done);
    append_nfc(text.substr(begin, end - begin), storage);
    done = end;
    changeable = find_changeable(text, done);
    if (changeable == text.size()) {
      storage.append(text, done);
      return storage;
    }
  }
}

}  // namespace streamo::text
