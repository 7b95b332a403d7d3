// Which of its files a model directory's tokenizer is read from.
#include "streamo/core/error.h"
#include "streamo/text/tokenizer.h"
#include "text/byte_level_bpe_tokenizer.h"
#include "text/model_file.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/tokenizer_json.h"
#include "text/vocab_merges.h"

namespace streamo::text {

std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& model_dir) {
  const std::filesystem::path json_path = model_dir / "tokenizer.json";
  const std::filesystem::path sentencepiece_path = model_dir / "tokenizer.model";
  const bool has_sentencepiece = std::filesystem::exists(sentencepiece_path);
  if (std::filesystem::exists(json_path)) {
    TokenizerJson json = parse_tokenizer_json(read_model_file(json_path), json_path.string());
    // Where there is a SentencePiece model too, the JSON may be its conversion.
    if (is_byte_level_bpe(json) || !has_sentencepiece) {
      return std::make_unique<ByteLevelBpeTokenizer>(
          read_byte_level_bpe(std::move(json), json_path.string()));
    }
  }
  if (!has_sentencepiece && std::filesystem::exists(model_dir / "vocab.json")) {
    return std::make_unique<ByteLevelBpeTokenizer>(read_vocab_and_merges(model_dir));
  }
  if (has_sentencepiece) return load_sentencepiece(sentencepiece_path);
  const bool is_directory = std::filesystem::is_directory(model_dir);
  throw core::Error(core::ErrorKind::kModel,
                    is_directory
                        ? "no tokenizer.json, no vocab.json with merges.txt, no tokenizer.model"
                        : "no such model directory",
                    model_dir.string(),
                    is_directory ? "copy the tokenizer's files from where the model was published"
                                 : "check the path");
}

}  // namespace streamo::text
