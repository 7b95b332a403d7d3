// Unicode normalization form C, as the NFC of Hugging Face's tokenizers gives it.
#pragma once

#include <string>
#include <string_view>

namespace streamo::text {

// `text` (well-formed UTF-8) itself where nothing can change, else its normal form in `storage`.
//
// The package's tables are those of Unicode 9 (the crate unicode-normalization-alignments 0.1.12):
// what came later neither composes nor changes place there. kOpaqueToNfc lists those characters.
std::string_view nfc(std::string_view text, std::string& storage);

}  // namespace streamo::text
