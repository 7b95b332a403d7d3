// Reading vocab.json and merges.txt, the older form of a byte-level BPE tokenizer, with the added
// tokens of tokenizer_config.json or added_tokens.json.
#pragma once

#include <filesystem>

#include "text/bpe/byte_level_bpe_tokenizer.h"

namespace streamo::text {

// These files do not say how text is split, so tokenizer_config.json must name Qwen2's tokenizer.
// Throws core::Error{kModel} naming the file that is missing or cannot be read.
ByteLevelBpeFiles read_vocab_and_merges(const std::filesystem::path& model_dir);

}  // namespace streamo::text
