// Adapts a SentencePiece model to the Tokenizer interface.
#include "text/sentencepiece/sentencepiece_tokenizer.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include <unordered_set>

#include "streamo/core/error.h"
#include "streamo/text/special_tokens.h"
#include "text/unicode/utf8.h"

namespace streamo::text {
namespace {

// SentencePiece writes a space as U+2581 and would give a genuine one back as a space.
constexpr std::string_view kSpaceSymbol = "\xe2\x96\x81";

class SentencePieceTokenizer final : public Tokenizer {
 public:
  explicit SentencePieceTokenizer(const std::filesystem::path& path) {
    const auto status = processor_.Load(path.string());
    if (!status.ok()) {
      throw core::Error(core::ErrorKind::kModel, "not a readable SentencePiece model",
                        path.string(), "copy the file again, or train a tokenizer");
    }
    for (const char byte : kSpaceSymbol) {
      const std::string piece = fmt::format("<0x{:02X}>", static_cast<unsigned char>(byte));
      if (has_piece(piece)) space_symbol_ids_.push_back(processor_.PieceToId(piece));
    }
    for (const std::string& token : special_token_strings()) {
      if (has_piece(token)) special_ids_.insert(processor_.PieceToId(token));
    }
    for (int id = 0; id < processor_.GetPieceSize(); ++id) {
      if (processor_.IsControl(id) || processor_.IsUnknown(id)) special_ids_.insert(id);
    }
  }

  std::vector<TokenId> encode(std::string_view text) const override {
    std::string storage;
    text = well_formed(text, storage);
    std::vector<TokenId> ids;
    size_t done = 0;
    for (size_t at; (at = text.find(kSpaceSymbol, done)) != std::string_view::npos;) {
      append(text.substr(done, at - done), ids);
      ids.insert(ids.end(), space_symbol_ids_.begin(), space_symbol_ids_.end());
      done = at + kSpaceSymbol.size();
    }
    append(text.substr(done), ids);
    return ids;
  }

  std::string decode(std::span<const TokenId> ids, bool skip_special) const override {
    std::vector<int> known;
    for (const TokenId id : ids) {
      // An embedding may have more rows than the tokenizer has pieces; such ids stand for no text.
      if (id < 0 || id >= processor_.GetPieceSize()) continue;
      if (skip_special && special_ids_.count(id) != 0) continue;
      known.push_back(id);
    }
    std::string text;
    const auto status = processor_.Decode(known, &text);
    STREAMO_CHECK(status.ok(), status.ToString());
    return text;
  }

  TokenId special_id(std::string_view token) const override {
    return has_piece(token) ? processor_.PieceToId(token) : -1;
  }

  int64_t vocab_size() const override { return processor_.GetPieceSize(); }

 private:
  bool has_piece(std::string_view piece) const {  // PieceToId answers "unknown" for everything else
    return processor_.IdToPiece(processor_.PieceToId(piece)) == piece;
  }

  void append(std::string_view text, std::vector<TokenId>& ids) const {
    if (text.empty()) return;
    std::vector<int> pieces;
    const auto status = processor_.Encode(text, &pieces);
    STREAMO_CHECK(status.ok(), status.ToString());
    ids.insert(ids.end(), pieces.begin(), pieces.end());
  }

  sentencepiece::SentencePieceProcessor processor_;
  std::vector<TokenId> space_symbol_ids_;  // its bytes; empty for a model without byte fallback
  std::unordered_set<TokenId> special_ids_;
};

}  // namespace

std::unique_ptr<Tokenizer> load_sentencepiece(const std::filesystem::path& path) {
  return std::make_unique<SentencePieceTokenizer>(path);
}

}  // namespace streamo::text
