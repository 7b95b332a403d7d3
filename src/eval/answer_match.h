// How alike two answers are.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace streamo::eval {

// Lower-case words: stretches of letters, digits and marks; what stands between them is dropped. A
// character twice as wide as a letter (Chinese, Japanese, Korean) is a word of its own, as those
// scripts do not separate words.
std::vector<std::string> split_words(std::string_view text);

// F1 of the words as bags: 2 common / (words of one + words of the other); 1 when neither has any.
// As SQuAD's token F1 (Rajpurkar et al., 2016), but articles count.
double word_f1(std::string_view truth, std::string_view answer);

}  // namespace streamo::eval
