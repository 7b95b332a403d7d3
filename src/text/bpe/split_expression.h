// The regular expression of a tokenizer.json in the dialect of PCRE2.
#pragma once

#include <string>
#include <string_view>

namespace streamo::text {

// Translates an expression of Oniguruma's Ruby dialect, which the files are written in. Understood
// is what both dialects share and what the expressions of byte-level tokenizers are made of:
// literals, alternatives, groups (?: (?= (?!, (?i: around plain letters, classes, quantifiers ? * +
// {n,m}, and \s \S \r \n \t \p{L} \p{N}. White space, letters and numbers become those of the
// package's version of Unicode. Throws core::Error{kModel} naming `source` and the part that is not
// understood.
std::string to_pcre2(std::string_view expression, const std::string& source);

}  // namespace streamo::text
