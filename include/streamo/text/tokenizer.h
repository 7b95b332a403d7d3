// Text to token ids and back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace streamo::text {

using TokenId = int32_t;

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // No token is added at the ends. Special tokens inside `text` become their single ids.
  virtual std::vector<TokenId> encode(std::string_view text) const = 0;
  // `skip_special`: leave special tokens (chat, vision, states) out of the text.
  virtual std::string decode(std::span<const TokenId> ids, bool skip_special = false) const = 0;
  // Id of a special token, -1 when the tokenizer does not have it as one token.
  virtual TokenId special_id(std::string_view token) const = 0;
  virtual int64_t vocab_size() const = 0;  // largest id + 1
};

// Reads the tokenizer of a model directory: tokenizer.json (byte-level BPE as Qwen2 has it), else
// tokenizer.model (SentencePiece), else vocab.json with merges.txt. encode() and decode() may be
// called by several threads; bytes that are not UTF-8 become U+FFFD. docs/tokenizer.md says more.
// Throws core::Error{kModel} naming what is missing, broken or not supported.
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& model_dir);

// Trains a SentencePiece model on `texts` (BPE with byte fallback, so that any text can be encoded)
// in which every string of special_token_strings() is one token, and writes tokenizer.model and
// tokenizer_config.json.
void train_tokenizer(const std::vector<std::string>& texts, int vocab_size,
                     const std::filesystem::path& out_dir);

}  // namespace streamo::text
