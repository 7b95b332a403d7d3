// Bag-of-words F1. Words are runs of letters and digits by Unicode category; each character of a
// wide script (Chinese, Japanese, Korean) is a word.
#include "eval/answer_match.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <iterator>

namespace streamo::eval {
namespace {

bool is_word_character(utf8proc_int32_t code_point) {
  switch (utf8proc_category(code_point)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  bool inside = false;  // of a word that goes on
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (size_t at = 0; at < text.size();) {
    utf8proc_int32_t code_point = 0;
    const utf8proc_ssize_t length =
        utf8proc_iterate(bytes + at, static_cast<utf8proc_ssize_t>(text.size() - at), &code_point);
    at += length > 0 ? static_cast<size_t>(length) : 1;  // not UTF-8: a byte between words
    if (length <= 0 || !is_word_character(code_point)) {
      inside = false;
      continue;
    }
    const bool wide = utf8proc_charwidth(code_point) == 2;
    if (!inside || wide) words.emplace_back();
    std::array<utf8proc_uint8_t, 4> lower{};
    const utf8proc_ssize_t size = utf8proc_encode_char(utf8proc_tolower(code_point), lower.data());
    words.back().append(reinterpret_cast<const char*>(lower.data()), static_cast<size_t>(size));
    inside = !wide;
  }
  return words;
}

double word_f1(std::string_view truth, std::string_view answer) {
  std::vector<std::string> expected = split_words(truth), said = split_words(answer);
  if (expected.empty() && said.empty()) return 1;
  std::sort(expected.begin(), expected.end());
  std::sort(said.begin(), said.end());
  std::vector<std::string> common;
  std::set_intersection(expected.begin(), expected.end(), said.begin(), said.end(),
                        std::back_inserter(common));
  return 2 * static_cast<double>(common.size()) /
         static_cast<double>(expected.size() + said.size());
}

}  // namespace streamo::eval
