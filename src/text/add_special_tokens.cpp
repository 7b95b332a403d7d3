// Writes a tokenizer's files with additional special tokens, as transformers expects them.
#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "core/io/file.h"
#include "core/json/json.h"
#include "streamo/core/error.h"
#include "streamo/text/special_tokens.h"
#include "text/bpe/byte_level_bpe_tokenizer.h"
#include "text/json_text.h"
#include "text/sentencepiece/model_file.h"

namespace streamo::text {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct NewToken {
  TokenId id;
  std::string content;
};

ordered_json description(const std::string& content) {
  return {{"content", content}, {"single_word", false}, {"lstrip", false},
          {"rstrip", false},    {"normalized", false},  {"special", true}};
}

void append_names(const char* key, const std::vector<NewToken>& tokens, std::string& json) {
  for (const NewToken& token : tokens) json = with_appended(json, {key}, "", token.content);
}

// Which list of names a file has depends on the version of transformers that wrote it.
void append_to_lists_of_names(const std::vector<NewToken>& tokens, std::string& json) {
  const core::Result<nlohmann::json> parsed = core::parse_json(json);
  STREAMO_CHECK(parsed, "it was read before, and edited as text since");
  bool has_list = false;
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    if (!parsed->contains(key) || !(*parsed)[key].is_array()) continue;
    append_names(key, tokens, json);
    has_list = true;
  }
  if (has_list) return;
  json = with_appended(json, {}, "additional_special_tokens", ordered_json::array());
  append_names("additional_special_tokens", tokens, json);
}

void edit_tokenizer_json(const std::vector<NewToken>& tokens, std::string& json) {
  if (!has_container(json, {"added_tokens"})) {
    json = with_appended(json, {}, "added_tokens", ordered_json::array());
  }
  for (const NewToken& token : tokens) {
    ordered_json entry = {{"id", token.id}};
    entry.update(description(token.content));
    json = with_appended(json, {"added_tokens"}, "", entry);
  }
}

void edit_tokenizer_config(const std::vector<NewToken>& tokens, std::string& json) {
  if (has_container(json, {"added_tokens_decoder"})) {
    for (const NewToken& token : tokens) {
      json = with_appended(json, {"added_tokens_decoder"}, std::to_string(token.id),
                           description(token.content));
    }
  }
  append_to_lists_of_names(tokens, json);
}

void edit_added_tokens(const std::vector<NewToken>& tokens, std::string& json) {
  for (const NewToken& token : tokens) {
    json = with_appended(json, {}, token.content, ordered_json(token.id));
  }
}

struct TokenizerFile {
  const char* name;
  void (*edit)(const std::vector<NewToken>&, std::string& json);  // nullptr: stays as it is
};
constexpr std::array<TokenizerFile, 6> kFiles = {
    {{"tokenizer.json", &edit_tokenizer_json},
     {"tokenizer_config.json", &edit_tokenizer_config},
     {"special_tokens_map.json", &append_to_lists_of_names},
     {"added_tokens.json", &edit_added_tokens},
     {"vocab.json", nullptr},
     {"merges.txt", nullptr}}};

void copy_edited(const fs::path& from, const TokenizerFile& file,
                 const std::vector<NewToken>& tokens, const fs::path& to_dir) {
  std::string content = read_model_file(from);
  if (file.edit != nullptr) {
    read_model_json(from);  // refuses what must not be edited as text
    file.edit(tokens, content);
  }
  core::write_file_atomic(to_dir / file.name, content);
}

}  // namespace

void add_special_tokens(const fs::path& from_dir, const fs::path& to_dir,
                        const std::vector<std::string>& tokens) {
  const std::unique_ptr<Tokenizer> tokenizer = load_tokenizer(from_dir);
  if (dynamic_cast<const ByteLevelBpeTokenizer*>(tokenizer.get()) == nullptr) {
    throw core::Error(core::ErrorKind::kModel, "no token can be added to a SentencePiece model",
                      from_dir.string(), "train a tokenizer that has the state tokens");
  }
  auto next = static_cast<TokenId>(tokenizer->vocab_size());
  std::vector<NewToken> added;
  for (const std::string& token : tokens) added.push_back({next++, token});
  fs::create_directories(to_dir);
  for (const TokenizerFile& file : kFiles) {
    if (fs::exists(from_dir / file.name)) copy_edited(from_dir / file.name, file, added, to_dir);
  }
  const std::unique_ptr<Tokenizer> result = load_tokenizer(to_dir);
  for (const NewToken& token : added) {
    if (result->special_id(token.content) == token.id) continue;
    throw core::Error(core::ErrorKind::kModel,
                      fmt::format("'{}' cannot be added to the tokenizer", token.content),
                      from_dir.string(), "add it with the tool that made the tokenizer");
  }
}

}  // namespace streamo::text
