// The characters in which files of byte-level tokenizers write bytes: GPT-2's bytes_to_unicode
// (https://github.com/openai/gpt-2/blob/master/src/encoder.py). A printable byte stands for itself,
// the others for U+0100 and on.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace streamo::text {

// The bytes that `spelled` (well-formed UTF-8) stands for; nothing where a character stands for no
// byte.
std::optional<std::string> bytes_of_spelling(std::string_view spelled);

// How `byte` is written.
std::string spelling_of_byte(unsigned char byte);

}  // namespace streamo::text
