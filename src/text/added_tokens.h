// Tokens beside the vocabulary of the model, cut out of a text before it is tokenized.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "streamo/text/tokenizer.h"

namespace streamo::text {

struct AddedToken {
  TokenId id = -1;
  std::string content;
  bool special = false;     // left out of decoded text on demand
  bool normalized = false;  // looked for in the normalized text, not in the text as given
};

// Finds added tokens: the leftmost, and of several that begin there the longest.
class AddedTokenMatcher {
 public:
  // Throws core::Error{kModel} naming `source` when a content is empty or stands there twice.
  AddedTokenMatcher(std::vector<AddedToken> tokens, const std::string& source);

  struct Match {
    size_t position = std::string_view::npos;
    const AddedToken* token = nullptr;  // nullptr: none
  };
  Match find(std::string_view text, size_t from) const;

  // Calls `between` with each part that is no token and `token` with each token, in order.
  template <typename Between, typename Token>
  void split(std::string_view text, const Between& between, const Token& token) const {
    size_t done = 0;
    for (Match match; (match = find(text, done)).token != nullptr;) {
      if (match.position > done) between(text.substr(done, match.position - done));
      token(*match.token);
      done = match.position + match.token->content.size();
    }
    if (done < text.size()) between(text.substr(done));
  }

 private:
  const AddedToken* longest_at(std::string_view text) const;

  std::vector<AddedToken> tokens_;  // sorted by content
  std::array<bool, 256> begins_{};  // whether a token begins with this byte
};

}  // namespace streamo::text
