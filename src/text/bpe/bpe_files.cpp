// Validates ids, flags and merges, and decodes GPT-2's byte spelling.
#include "text/bpe/bpe_files.h"

#include <fmt/format.h>

#include <algorithm>

#include "streamo/core/error.h"
#include "text/bpe/byte_alphabet.h"

namespace streamo::text {
namespace {

// Ids index tables. The largest vocabularies known have some 2^18.
constexpr int64_t kMaxTokenId = (int64_t{1} << 22) - 1;

[[noreturn]] void refuse(const std::string& what, const std::string& source) {
  throw core::Error(core::ErrorKind::kModel, what, source,
                    "copy the tokenizer's files again from where the model was published");
}

std::string bytes_or_refuse(std::string_view spelled, const std::string& source) {
  std::optional<std::string> bytes = bytes_of_spelling(spelled);
  if (!bytes) refuse(fmt::format("'{}' in a merge is no spelling of bytes", spelled), source);
  return *std::move(bytes);
}

}  // namespace

TokenId read_token_id(const nlohmann::json& value, std::string_view token,
                      const std::string& source) {
  if (!value.is_number_integer() || value < 0 || value > kMaxTokenId) {
    refuse(fmt::format("the token '{}' has the id {}, which is not a whole number of 0 to {}",
                       token, value.dump(), kMaxTokenId),
           source);
  }
  return value.get<TokenId>();
}

AddedToken read_added_token(const nlohmann::json& value, TokenId id, const std::string& source) {
  const auto flag = [&](const char* name) {
    const auto found = value.find(name);
    if (found == value.end() || !found->is_boolean()) {
      refuse(fmt::format("the added token {} lacks '{}', true or false", id, name), source);
    }
    return found->get<bool>();
  };
  if (!value.is_object() || !value.contains("content") || !value["content"].is_string()) {
    refuse(fmt::format("the added token {} is no object with 'content'", id), source);
  }
  AddedToken token{id, value["content"].get<std::string>(), flag("special"), flag("normalized")};
  if (token.content.empty()) refuse(fmt::format("the added token {} is empty", id), source);
  for (const char* name : {"lstrip", "rstrip", "single_word"}) {
    if (!flag(name)) continue;
    throw core::Error(core::ErrorKind::kModel,
                      fmt::format("the added token '{}' asks for {}, which is not supported",
                                  token.content, name),
                      source, "use a tokenizer whose added tokens do without");
  }
  return token;
}

std::pair<std::string, std::string> read_merge(std::string_view line, const std::string& source) {
  const size_t space = line.find(' ');
  if (space == 0 || space == line.npos || space + 1 == line.size() ||
      line.find(' ', space + 1) != line.npos) {
    refuse(fmt::format("the merge '{}' is not two tokens with a space between them", line), source);
  }
  return {std::string(line.substr(0, space)), std::string(line.substr(space + 1))};
}

BpeFiles to_bytes(SpelledBpe spelled, const std::vector<AddedToken>& added_tokens,
                  const std::string& source) {
  BpeFiles files;
  files.vocabulary.reserve(spelled.vocabulary.size());
  for (const auto& entry : spelled.vocabulary) {
    if (std::optional<std::string> bytes = bytes_of_spelling(entry.first)) {
      files.vocabulary.emplace_back(*std::move(bytes), entry.second);
      continue;
    }
    const auto is_entry = [&](const AddedToken& token) {
      return token.content == entry.first && token.id == entry.second;
    };
    if (std::none_of(added_tokens.begin(), added_tokens.end(), is_entry)) {
      refuse(
          fmt::format("the token '{}' is no spelling of bytes, so this is not the vocabulary of a "
                      "byte-level tokenizer",
                      entry.first),
          source);
    }
  }
  files.merges.reserve(spelled.merges.size());
  for (const auto& [left, right] : spelled.merges) {
    files.merges.emplace_back(bytes_or_refuse(left, source), bytes_or_refuse(right, source));
  }
  return files;
}

}  // namespace streamo::text
