// Longest match at each position by binary search in a sorted list, one byte at a time.
#include "text/added_tokens.h"

#include <fmt/format.h>

#include <algorithm>

#include "streamo/core/error.h"

namespace streamo::text {

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens, const std::string& source)
    : tokens_(std::move(tokens)) {
  std::sort(tokens_.begin(), tokens_.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.content < b.content; });
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const AddedToken& token = tokens_[i];
    if (token.content.empty() || (i > 0 && token.content == tokens_[i - 1].content)) {
      throw core::Error(core::ErrorKind::kModel,
                        fmt::format("the added token '{}' {}", token.content,
                                    token.content.empty() ? "is empty" : "stands there twice"),
                        source, "remove it");
    }
    begins_[static_cast<unsigned char>(token.content.front())] = true;
  }
}

AddedTokenMatcher::Match AddedTokenMatcher::find(std::string_view text, size_t from) const {
  if (tokens_.empty()) return {};
  for (size_t at = from; at < text.size(); ++at) {
    if (!begins_[static_cast<unsigned char>(text[at])]) continue;
    if (const AddedToken* token = longest_at(text.substr(at))) return {at, token};
  }
  return {};
}

// Narrows the sorted tokens byte by byte to those that begin like the text.
const AddedToken* AddedTokenMatcher::longest_at(std::string_view text) const {
  const AddedToken* longest = nullptr;
  auto first = tokens_.begin(), last = tokens_.end();
  for (size_t depth = 0; first != last; ++depth) {
    if (first->content.size() == depth) longest = &*first++;  // all of it stands there
    if (depth == text.size()) break;
    const auto byte_before = [depth](unsigned char byte, const AddedToken& token) {
      return byte < static_cast<unsigned char>(token.content[depth]);
    };
    const auto before_byte = [depth](const AddedToken& token, unsigned char byte) {
      return static_cast<unsigned char>(token.content[depth]) < byte;
    };
    const auto byte = static_cast<unsigned char>(text[depth]);
    first = std::lower_bound(first, last, byte, before_byte);
    last = std::upper_bound(first, last, byte, byte_before);
  }
  return longest;
}

}  // namespace streamo::text
