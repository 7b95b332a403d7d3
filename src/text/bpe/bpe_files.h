// What tokenizer.json and vocab.json with merges.txt have in common.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe/bpe_model.h"

namespace streamo::text {

// Vocabulary and merges as a file has them: bytes are spelled in the alphabet of byte_alphabet.h.
struct SpelledBpe {
  std::vector<std::pair<std::string, TokenId>> vocabulary;
  std::vector<std::pair<std::string, std::string>> merges;
};

// Those with a `source` throw core::Error{kModel} naming it.

// The id that a file gives to `token`: an integer in [0, 2^22).
TokenId read_token_id(const nlohmann::json& value, std::string_view token,
                      const std::string& source);

// A description of an added token as tokenizer.json and tokenizer_config.json have it. lstrip,
// rstrip and single_word are not supported.
AddedToken read_added_token(const nlohmann::json& value, TokenId id, const std::string& source);

// Tokenizers passes over these among the merges.
inline bool is_version_line(std::string_view line) {
  return line.starts_with("#version");
}

// "left right", a line of merges.txt or an entry of an older tokenizer.json.
std::pair<std::string, std::string> read_merge(std::string_view line, const std::string& source);

// The same in bytes. A token that is no spelling of bytes is refused unless it is an added token
// too.
BpeFiles to_bytes(SpelledBpe spelled, const std::vector<AddedToken>& added_tokens,
                  const std::string& source);

}  // namespace streamo::text
