#pragma once

#include <filesystem>
#include <memory>

#include "streamo/text/tokenizer.h"

namespace streamo::text {

// Reads tokenizer.model. Throws core::Error{kModel}.
std::unique_ptr<Tokenizer> load_sentencepiece(const std::filesystem::path& path);

}  // namespace streamo::text
