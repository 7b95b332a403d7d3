// Reads the vocabulary by SAX events and reconstructs the special-token flags the way transformers
// does.
#include "text/bpe/vocab_merges.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/json/json.h"
#include "streamo/core/error.h"
#include "text/bpe/bpe_files.h"
#include "text/sentencepiece/model_file.h"

namespace streamo::text {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// PRETOKENIZE_REGEX of transformers 5.23, src/transformers/models/qwen2/tokenization_qwen2.py
constexpr const char* kQwen2Expression =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

// Entries go into the list while they are read; a document of them would take longer to make than
// all the rest.
class VocabularyReader final : public core::JsonBuilder<json> {
 public:
  VocabularyReader(SpelledBpe& bpe, const std::string& source) : bpe_(bpe), source_(source) {}

  bool key(std::string& key) override {
    token_ = std::move(key);
    return true;
  }
  bool start_object(size_t size) override {
    return depth() == 0 && JsonBuilder::start_object(size);
  }
  bool start_array(size_t /*size*/) override { return false; }
  bool null() override { return take(nullptr); }
  bool boolean(bool value) override { return take(value); }
  bool number_integer(int64_t value) override { return take(value); }
  bool number_unsigned(uint64_t value) override { return take(value); }
  bool number_float(double value, const std::string& /*text*/) override { return take(value); }
  bool string(std::string& value) override { return take(value); }

 private:
  bool take(const json& id) {
    if (depth() == 0) return false;
    bpe_.vocabulary.emplace_back(token_, read_token_id(id, token_, source_));
    return true;
  }

  SpelledBpe& bpe_;
  const std::string& source_;
  std::string token_;
};

void read_vocabulary(const fs::path& path, SpelledBpe& bpe) {
  const std::string source = path.string();
  VocabularyReader reader(bpe, source);
  if (core::scan_json(read_model_file(path), reader, {.max_bytes = kMaxModelFileBytes})) {
    throw core::Error(core::ErrorKind::kModel, "not a JSON object of tokens and their ids", source,
                      "copy the file again from where the model was published");
  }
}

void read_merges(const fs::path& path, SpelledBpe& bpe) {
  const std::string content = read_model_file(path);
  for (std::string_view rest = content; !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (is_version_line(line)) continue;
    bpe.merges.push_back(read_merge(line, path.string()));
  }
}

// added_tokens.json knows no flags. Special are the tokens that the other two files name, and the
// others are looked for in normalized text (_from_pretrained in transformers 5.23,
// src/transformers/tokenization_utils_base.py).
void collect_names(const json& value, std::set<std::string>& names) {
  if (value.is_string()) names.insert(value.get<std::string>());
  if (value.is_object() && value.contains("content")) collect_names(value["content"], names);
  if (value.is_array()) {
    for (const json& element : value) collect_names(element, names);
  }
}

std::set<std::string> special_names(const fs::path& model_dir, const json& config) {
  std::set<std::string> names;
  const auto collect = [&](const json& file) {
    for (const char* key :
         {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token",
          "mask_token", "additional_special_tokens", "extra_special_tokens"}) {
      collect_names(file.value(key, json()), names);
    }
  };
  collect(config);
  const fs::path map = model_dir / "special_tokens_map.json";
  if (fs::exists(map)) collect(read_model_json(map));
  return names;
}

std::vector<AddedToken> read_added_tokens(const fs::path& model_dir, const json& config,
                                          const fs::path& config_path) {
  std::map<TokenId, AddedToken> by_id;  // ids are given in this order
  const std::string source = config_path.string();
  const auto decoder = config.find("added_tokens_decoder");
  if (decoder != config.end()) {
    for (const auto& [key, value] : decoder->items()) {
      const core::Result<json> number = core::parse_json(key);
      const TokenId id = read_token_id(number ? *number : json(), key, source);
      by_id.emplace(id, read_added_token(value, id, source));
    }
  } else if (const fs::path path = model_dir / "added_tokens.json"; fs::exists(path)) {
    const std::set<std::string> special = special_names(model_dir, config);
    const json added = read_model_json(path);
    for (const auto& [content, value] : added.items()) {
      const TokenId id = read_token_id(value, content, path.string());
      const bool is_special = special.count(content) != 0;
      if (!by_id.emplace(id, AddedToken{id, content, is_special, !is_special}).second) {
        throw core::Error(core::ErrorKind::kModel, fmt::format("two tokens have the id {}", id),
                          path.string(), "copy the file again from where the model was published");
      }
    }
  }
  std::vector<AddedToken> tokens;
  for (auto& [id, token] : by_id) tokens.push_back(std::move(token));
  return tokens;
}

}  // namespace

ByteLevelBpeFiles read_vocab_and_merges(const fs::path& model_dir) {
  const fs::path config_path = model_dir / "tokenizer_config.json";
  const json config = read_model_json(config_path);
  const json tokenizer_class = config.value("tokenizer_class", json());
  if (tokenizer_class != "Qwen2Tokenizer" && tokenizer_class != "Qwen2TokenizerFast") {
    throw core::Error(core::ErrorKind::kModel,
                      fmt::format("tokenizer_class is {}, and of vocab.json with merges.txt only "
                                  "those of Qwen2Tokenizer can be read",
                                  tokenizer_class.dump()),
                      config_path.string(), "give a model directory with tokenizer.json");
  }
  SpelledBpe bpe;
  read_vocabulary(model_dir / "vocab.json", bpe);
  read_merges(model_dir / "merges.txt", bpe);
  ByteLevelBpeFiles files;
  files.source = (model_dir / "vocab.json").string();
  files.added_tokens = read_added_tokens(model_dir, config, config_path);
  files.bpe = to_bytes(std::move(bpe), files.added_tokens, files.source);
  files.split_expression = kQwen2Expression;
  files.nfc = true;
  return files;
}

}  // namespace streamo::text
