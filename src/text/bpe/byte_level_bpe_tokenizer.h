// The tokenizers of Qwen2 and its like behind the Tokenizer interface.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "streamo/text/tokenizer.h"
#include "text/added_tokens.h"
#include "text/bpe/bpe_model.h"
#include "text/bpe/pre_tokenizer.h"
#include "text/bpe/word_cache.h"
#include "text/unicode/nfc.h"

namespace streamo::text {

// What the files of a model directory say.
struct ByteLevelBpeFiles {
  BpeFiles bpe;
  std::vector<AddedToken> added_tokens;
  std::string split_expression;
  bool nfc = false;
  std::string source;  // the file, for messages
};

// Ids equal those of Hugging Face's tokenizers 0.23 for the same files. Added tokens are cut out
// first, the rest is normalized, split into words, and each word is encoded by itself.
class ByteLevelBpeTokenizer final : public Tokenizer {
 public:
  // Throws core::Error{kModel} when the files contradict themselves.
  explicit ByteLevelBpeTokenizer(ByteLevelBpeFiles files);
  ~ByteLevelBpeTokenizer() override;

  std::vector<TokenId> encode(std::string_view text) const override;
  std::string decode(std::span<const TokenId> ids, bool skip_special) const override;
  TokenId special_id(std::string_view token) const override;
  int64_t vocab_size() const override { return vocab_size_; }

 private:
  // What encoding needs and no two threads may share. Each encode() borrows one.
  struct Scratch;
  std::unique_ptr<Scratch> borrow() const;
  void give_back(std::unique_ptr<Scratch> scratch) const;

  void encode_plain(std::string_view text, Scratch& scratch, std::vector<TokenId>& ids) const;

  BpeModel model_;
  bool nfc_;
  PreTokenizer pre_tokenizer_;
  std::unordered_map<TokenId, AddedToken> added_;
  std::unordered_map<std::string, TokenId> added_ids_;
  std::optional<AddedTokenMatcher> as_given_, normalized_;
  int64_t vocab_size_ = 0;

  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Scratch>> idle_;
};

}  // namespace streamo::text
