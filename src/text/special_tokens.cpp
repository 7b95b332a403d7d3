// Looks up the ids at load time and insists that each is one token, also inside a text.
#include "streamo/text/special_tokens.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "streamo/core/error.h"

namespace streamo::text {
namespace {

TokenId resolve_one(const Tokenizer& tokenizer, std::string_view token) {
  const TokenId id = tokenizer.special_id(token);
  const std::vector<TokenId> pieces = tokenizer.encode(token);
  // Both, because a tokenizer may know a token by name and still not find it inside a text.
  if (id >= 0 && pieces == std::vector<TokenId>{id}) return id;
  throw core::Error(
      core::ErrorKind::kModel,
      fmt::format("the tokenizer does not have '{}' as one token: it becomes the ids [{}]", token,
                  fmt::join(pieces, ", ")),
      "tokenizer of the model directory",
      "add it as a special token (the three states, the chat and the vision tokens must each be "
      "one "
      "id) or train a tokenizer that has it");
}

SpecialTokens resolve_all_but_states(const Tokenizer& tokenizer) {
  SpecialTokens special{};
  special.end_of_text = resolve_one(tokenizer, kEndOfText);
  special.im_start = resolve_one(tokenizer, kImStart);
  special.im_end = resolve_one(tokenizer, kImEnd);
  special.vision_start = resolve_one(tokenizer, kVisionStart);
  special.vision_end = resolve_one(tokenizer, kVisionEnd);
  special.image_pad = resolve_one(tokenizer, kImagePad);
  return special;
}

}  // namespace

std::optional<State> leading_state(std::string_view assistant_content) {
  for (size_t i = 0; i < kStateTokens.size(); ++i) {
    if (assistant_content.starts_with(kStateTokens[i])) return static_cast<State>(i);
  }
  return std::nullopt;
}

std::vector<std::string> special_token_strings() {
  std::vector<std::string> tokens;
  for (const std::string_view token :
       {kEndOfText, kImStart, kImEnd, kVisionStart, kVisionEnd, kImagePad, kVideoPad}) {
    tokens.emplace_back(token);
  }
  tokens.insert(tokens.end(), kStateTokens.begin(), kStateTokens.end());
  return tokens;
}

SpecialTokens SpecialTokens::resolve(const Tokenizer& tokenizer) {
  SpecialTokens special = resolve_all_but_states(tokenizer);
  for (int i = 0; i < kNumStates; ++i) special.states[i] = resolve_one(tokenizer, kStateTokens[i]);
  return special;
}

std::vector<std::string> missing_special_tokens(const Tokenizer& tokenizer,
                                                const std::vector<std::string>& wanted) {
  (void)resolve_all_but_states(tokenizer);
  std::vector<std::string> missing;
  for (const std::string& token : wanted) {
    if (tokenizer.special_id(token) < 0) missing.push_back(token);
  }
  return missing;
}

int SpecialTokens::state_index(TokenId id) const {
  const auto found = std::find(states.begin(), states.end(), id);
  return found == states.end() ? -1 : static_cast<int>(found - states.begin());
}

}  // namespace streamo::text
