// Cuts text into the words that byte-pair encoding does not join across.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace streamo::text {

// A word is a match of a regular expression, or what stands between two: the pre-tokenizer "Split"
// with the behaviour "Isolated" of Hugging Face's tokenizers. Several threads may use one, each
// with a Scratch of its own.
class PreTokenizer {
 public:
  using Scratch = std::unique_ptr<void, void (*)(void*)>;  // PCRE2's match data

  // `expression` as tokenizer.json has it. Throws core::Error{kModel} naming `source` when it
  // cannot be used.
  PreTokenizer(std::string_view expression, std::string source);

  Scratch make_scratch() const;

  // Calls `word` with each word of `text` (well-formed UTF-8) in turn. Throws core::Error{kModel}
  // when matching exceeds PCRE2's limits: the expression backtracks without bound.
  template <typename Function>
  void for_each_word(std::string_view text, Scratch& scratch, const Function& word) const {
    size_t done = 0;
    for (Match match; next_match(text, done, scratch, match); done = match.end) {
      if (match.begin > done) word(text.substr(done, match.begin - done));
      word(text.substr(match.begin, match.end - match.begin));
    }
    if (done < text.size()) word(text.substr(done));
  }

 private:
  struct Match {
    size_t begin, end;
  };
  bool next_match(std::string_view text, size_t from, Scratch& scratch, Match& match) const;

  std::string source_;
  std::unique_ptr<void, void (*)(void*)> code_;  // pcre2_code
};

}  // namespace streamo::text
