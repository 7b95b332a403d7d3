// Chooses which of a model directory's files its tokenizer is read from.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "streamo/core/error.h"
#include "streamo/text/tokenizer.h"
#include "text/bpe/byte_level_bpe_tokenizer.h"
#include "text/bpe/vocab_merges.h"
#include "text/sentencepiece/model_file.h"
#include "text/sentencepiece/sentencepiece_tokenizer.h"
#include "text/tokenizer_json.h"

namespace streamo::text {
namespace {

namespace fs = std::filesystem;

// transformers 5 takes the added tokens of a Qwen2Tokenizer from tokenizer_config.json, where it
// lists them, and everything else from tokenizer.json: two files that must not contradict each
// other.
void check_against_config(const Tokenizer& tokenizer, const fs::path& path) {
  const nlohmann::json config = read_model_json(path);
  const auto listed = config.find("added_tokens_decoder");
  if (listed == config.end()) return;
  for (const auto& [id, token] : listed->items()) {
    const auto content = token.is_object() ? token.find("content") : token.end();
    if (content == token.end() || !content->is_string()) continue;
    const auto text = content->get<std::string>();
    if (std::to_string(tokenizer.special_id(text)) == id) continue;
    throw core::Error(
        core::ErrorKind::kModel,
        fmt::format(
            "'{}' is the added token {} there, but {} in tokenizer.json", text, id,
            tokenizer.special_id(text) < 0 ? "none" : std::to_string(tokenizer.special_id(text))),
        path.string(), "copy both files again from where the model was published");
  }
}

std::unique_ptr<Tokenizer> make_from_json(TokenizerJson json, const fs::path& path) {
  auto tokenizer =
      std::make_unique<ByteLevelBpeTokenizer>(read_byte_level_bpe(std::move(json), path.string()));
  const fs::path config = path.parent_path() / "tokenizer_config.json";
  if (fs::exists(config)) check_against_config(*tokenizer, config);
  return tokenizer;
}

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const fs::path& model_dir) {
  const fs::path json_path = model_dir / "tokenizer.json";
  const fs::path sentencepiece_path = model_dir / "tokenizer.model";
  const bool has_sentencepiece = fs::exists(sentencepiece_path);
  if (fs::exists(json_path)) {
    TokenizerJson json = parse_tokenizer_json(read_model_file(json_path), json_path.string());
    // Where there is a SentencePiece model too, the JSON may be its conversion.
    if (is_byte_level_bpe(json) || !has_sentencepiece) {
      return make_from_json(std::move(json), json_path);
    }
  }
  if (!has_sentencepiece && fs::exists(model_dir / "vocab.json")) {
    return std::make_unique<ByteLevelBpeTokenizer>(read_vocab_and_merges(model_dir));
  }
  if (has_sentencepiece) return load_sentencepiece(sentencepiece_path);
  const bool is_directory = fs::is_directory(model_dir);
  throw core::Error(core::ErrorKind::kModel,
                    is_directory
                        ? "no tokenizer.json, no vocab.json with merges.txt, no tokenizer.model"
                        : "no such model directory",
                    model_dir.string(),
                    is_directory ? "copy the tokenizer's files from where the model was published"
                                 : "check the path");
}

}  // namespace streamo::text
