// Reading tokenizer.json, the format of Hugging Face's tokenizers.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "text/bpe/bpe_files.h"
#include "text/bpe/byte_level_bpe_tokenizer.h"

namespace streamo::text {

// A parsed file: the two large parts as lists, all others as they stand there.
struct TokenizerJson {
  nlohmann::json rest;  // its model.vocab and model.merges are empty where they could be read
  SpelledBpe bpe;
};

// Throws core::Error{kModel} naming `source` when `content` is not JSON or an entry cannot be read.
TokenizerJson parse_tokenizer_json(std::string_view content, const std::string& source);

// Whether it is a byte-level BPE. One that is may still ask for something that the next function
// refuses.
bool is_byte_level_bpe(const TokenizerJson& json);

// Throws core::Error{kModel} naming whatever in the file is not supported and could change an id.
// Passed over are truncation and padding, which concern batches.
ByteLevelBpeFiles read_byte_level_bpe(TokenizerJson json, const std::string& source);

}  // namespace streamo::text
