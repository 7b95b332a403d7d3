// tokenizer.json and texts from someone we do not trust: an error or ids, never a crash.
//
// An input is a JSON merge patch for a small valid tokenizer.json, a zero byte, and a text to
// encode; or, beginning with 'R', a whole tokenizer.json.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "fuzz/fuzz.h"
#include "streamo/core/error.h"
#include "text/bpe/byte_alphabet.h"
#include "text/bpe/byte_level_bpe_tokenizer.h"
#include "text/json_text.h"
#include "text/tokenizer_json.h"
#include "text/unicode/utf8.h"

namespace streamo::text {
namespace {

using fuzz::require;
using nlohmann::json;

constexpr const char* kRest = R"({
  "version": "1.0",
  "added_tokens": [{"id": 260, "content": "<|im_end|>", "single_word": false, "lstrip": false,
                    "rstrip": false, "normalized": false, "special": true}],
  "normalizer": {"type": "NFC"},
  "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
    {"type": "Split", "behavior": "Isolated", "invert": false, "pattern": {"Regex":
     "(?i:'s|'t)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s+(?!\\S)|\\s+"}},
    {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]},
  "decoder": {"type": "ByteLevel"},
  "model": {"type": "BPE", "vocab": {}, "merges": []}})";

TokenizerJson small_tokenizer() {
  TokenizerJson small;
  small.rest = json::parse(kRest);
  for (int byte = 0; byte < 256; ++byte) {
    small.bpe.vocabulary.emplace_back(spelling_of_byte(static_cast<unsigned char>(byte)), byte);
  }
  for (const char* merge : {"t h", "th e", "e e", "\u0120 the"}) {
    small.bpe.merges.push_back(read_merge(merge, "fuzz"));
    const auto& [left, right] = small.bpe.merges.back();
    small.bpe.vocabulary.emplace_back(left + right, small.bpe.vocabulary.size());
  }
  return small;
}

void encode(TokenizerJson patched, std::string_view text) {
  const bool is_normalized = patched.rest.contains("normalizer");
  const ByteLevelBpeTokenizer tokenizer(read_byte_level_bpe(std::move(patched), "fuzz"));
  const auto ids = tokenizer.encode(text);
  for (const TokenId id : ids) require(id >= 0 && id < tokenizer.vocab_size());
  require(tokenizer.encode(text) == ids);  // now from the cache of words
  std::string storage;
  if (!is_normalized) require(tokenizer.decode(ids, false) == well_formed(text, storage));
  (void)tokenizer.decode(ids, true);
}

void read_whole(std::string_view content) {
  if (nlohmann::ordered_json::accept(content) && has_container(content, {"added_tokens"})) {
    const bool is_array = json::parse(content)["added_tokens"].is_array();
    const nlohmann::ordered_json value = {{"a", 1}};
    const auto appended = json::parse(
        with_appended(content, {"added_tokens"}, is_array ? "" : "x", value))["added_tokens"];
    require((is_array ? appended.back() : appended["x"]).dump() == value.dump());
  }
  TokenizerJson parsed = parse_tokenizer_json(content, "fuzz");
  (void)is_byte_level_bpe(parsed);
  encode(std::move(parsed), "the text <|im_end|>");
}

}  // namespace

FUZZ_TARGET(tokenizer, 3000) {
  static const TokenizerJson small = small_tokenizer();
  try {
    if (input.starts_with("R")) {
      read_whole(input.substr(1));
      return;
    }
    const json patch = json::parse(fuzz::take_part(input), nullptr, /*allow_exceptions=*/false);
    if (patch.is_discarded()) return;
    TokenizerJson patched = small;
    patched.rest.merge_patch(patch);
    if (!patched.rest.contains("model") || !patched.rest["model"].is_object()) return;
    encode(std::move(patched), input);
  } catch (const core::Error&) {
    // what a user is told
  }
}

}  // namespace streamo::text
