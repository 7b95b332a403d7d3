// Translates Oniguruma's dialect to PCRE2's and refuses, with its place, everything whose meaning
// could differ.
#include "text/bpe/split_expression.h"

#include <fmt/format.h>

#include <algorithm>

#include "streamo/core/error.h"
#include "text/unicode/unicode_ranges.h"
#include "text/unicode/utf8.h"

namespace streamo::text {
namespace {

template <size_t N>
std::string class_members(std::string_view property, const CodePointRange (&newer)[N]) {
  std::string members(property);
  for (const CodePointRange& range : newer) {
    members += fmt::format("\\x{{{:x}}}-\\x{{{:x}}}", static_cast<uint32_t>(range.first),
                           static_cast<uint32_t>(range.last));
  }
  return members;
}

class Translator {
 public:
  Translator(std::string_view expression, const std::string& source)
      : rest_(expression), expression_(expression), source_(source) {}

  std::string translate() {
    while (!rest_.empty()) {
      if (take("[")) {
        take("^");
        char_class();
        quantifier();
      } else if (take("(?i:")) {
        caseless_group();
      } else if (take("(?:") || take("(?=") || take("(?!")) {
        ++depth_;
      } else if (depth_ > 0 && take(")")) {
        --depth_;
        quantifier();
      } else if (!take("|")) {
        if (!escape(/*in_class=*/false)) literal("()[]{}.^$?*+");
        quantifier();
      }
    }
    if (depth_ > 0) refuse("a group that is not closed");
    return std::move(out_);
  }

 private:
  bool take(std::string_view token) { return replace(token, token); }

  bool replace(std::string_view token, std::string_view by) {
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    out_ += by;
    return true;
  }

  // Only words such as 'll. Ruby's dialect lets two letters match one character ("ss" matches
  // U+00DF) and has its own idea of classes.
  void caseless_group() {
    char before = 0;
    while (!take(")")) {
      if (rest_.empty()) refuse("a group that is not closed");
      const char character = rest_.front();
      const char letter = static_cast<char>(character | 0x20);
      const bool is_letter = letter >= 'a' && letter <= 'z';
      if (!is_letter && character != '\'' && character != '|') {
        refuse(fmt::format("'{}' in a caseless group", rest_.substr(0, 5)));
      }
      const std::string pair = {before, letter};
      for (const char* ligature : {"ss", "st", "ff", "fi", "fl"}) {
        if (pair == ligature) refuse(fmt::format("'{}' in a caseless group", ligature));
      }
      before = letter;
      take(rest_.substr(0, 1));
    }
    quantifier();
  }

  void char_class() {
    if (rest_.starts_with("]")) refuse("an empty class");
    while (!rest_.starts_with("]")) {
      if (rest_.empty()) refuse("a class that is not closed");
      if (rest_.starts_with("&&")) refuse("'&&'");  // Ruby's intersection
      if (!escape(/*in_class=*/true)) literal("[");
    }
    take("]");
  }

  bool escape(bool in_class) {
    if (!rest_.starts_with("\\")) return false;
    const auto members = [&](std::string_view property, const std::string& of_class) {
      return replace(property, in_class ? of_class : "[" + of_class + "]");
    };
    // PCRE2's \s has U+180E, which is no white space since Unicode 6.3.
    if (replace("\\s", "\\p{White_Space}") || replace("\\S", "\\P{White_Space}") || take("\\r") ||
        take("\\n") || take("\\t") || members("\\p{L}", class_members("\\p{L}", kNewLetters)) ||
        members("\\p{N}", class_members("\\p{N}", kNewNumbers))) {
      return true;
    }
    const bool is_punctuation =
        rest_.size() > 1 && std::string_view("()[]{}.^$?*+|\\/-").find(rest_[1]) != rest_.npos;
    if (!is_punctuation) refuse(fmt::format("'{}'", rest_.substr(0, 5)));
    return take(rest_.substr(0, 2));
  }

  void literal(std::string_view refused) {
    if (refused.find(rest_.front()) != std::string_view::npos) {
      refuse(fmt::format("'{}'", rest_.substr(0, 5)));
    }
    take(rest_.substr(0, static_cast<size_t>(character_length(rest_, 0))));
  }

  void quantifier() {
    constexpr std::string_view kRepeat = "?*+{";
    if (rest_.empty() || kRepeat.find(rest_.front()) == std::string_view::npos) return;
    if (rest_.front() == '{') {
      const size_t end = rest_.find('}');
      const std::string_view bounds = rest_.substr(1, end == rest_.npos ? end : end - 1);
      if (end == rest_.npos || bounds.empty() || bounds.front() == ',' ||
          bounds.find_first_not_of("0123456789,") != bounds.npos ||
          std::count(bounds.begin(), bounds.end(), ',') > 1) {
        refuse(fmt::format("'{}'", rest_.substr(0, 5)));
      }
      take(rest_.substr(0, end + 1));
    } else {
      take(rest_.substr(0, 1));
    }
    // A second one means possessive or lazy, but not always the same in both dialects.
    if (!rest_.empty() && kRepeat.find(rest_.front()) != std::string_view::npos) {
      refuse(fmt::format("'{}' behind a quantifier", rest_.front()));
    }
  }

  [[noreturn]] void refuse(const std::string& what) const {
    throw core::Error(core::ErrorKind::kModel,
                      fmt::format("the pre-tokenizer's expression has {} at byte {}, which is not "
                                  "supported: {}",
                                  what, expression_.size() - rest_.size(), expression_),
                      source_, "use a tokenizer with the expression of Qwen2 or one like it");
  }

  std::string_view rest_;
  std::string_view expression_;
  const std::string& source_;
  std::string out_;
  int depth_ = 0;
};

}  // namespace

std::string to_pcre2(std::string_view expression, const std::string& source) {
  return Translator(expression, source).translate();
}

}  // namespace streamo::text
