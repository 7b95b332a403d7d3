#include "text/bpe/pre_tokenizer.h"

#include <gmock/gmock.h>

#include "text/byte_level_fixture.h"

namespace streamo::text {
namespace {

using testing::HasSubstr;
using Words = std::vector<std::string>;

Words split(const PreTokenizer& pre_tokenizer, std::string_view text) {
  Words words;
  PreTokenizer::Scratch scratch = pre_tokenizer.make_scratch();
  pre_tokenizer.for_each_word(text, scratch,
                              [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

// Truth: Split(Regex(...), "isolated") of tokenizers 0.23.3.
TEST(PreTokenizer, SplitsAsQwen2) {
  const PreTokenizer qwen(kQwenExpression, "test");
  EXPECT_EQ(split(qwen, "I'm HERE'S what we'LL do"),
            (Words{"I", "'m", " HERE", "'S", " what", " we", "'LL", " do"}));
  EXPECT_EQ(split(qwen,
                  "a'\u017f"
                  "b"),
            (Words{"a", "'\u017f", "b"}));  // long s, caselessly an s
  EXPECT_EQ(split(qwen, "  two  spaces \n\n x"),
            (Words{" ", " two", " ", " spaces", " \n\n", " x"}));
  EXPECT_EQ(split(qwen, "12345 abc"), (Words{"1", "2", "3", "4", "5", " abc"}));
  EXPECT_EQ(split(qwen, "\t\tx"), (Words{"\t", "\tx"}));
  EXPECT_EQ(split(qwen, "foo(bar);\r\n\r\n  baz"),
            (Words{"foo", "(bar", ");\r\n\r\n", " ", " baz"}));
  EXPECT_EQ(split(qwen, "\u180ex\u180e"), (Words{"\u180ex", "\u180e"}));
  EXPECT_EQ(split(qwen, "x\u0085\u00a0y"), (Words{"x", "\u0085", "\u00a0y"}));
  EXPECT_EQ(split(qwen, "\U0001f1e9\U0001f1ea!!\n"), (Words{"\U0001f1e9\U0001f1ea!!\n"}));
  EXPECT_EQ(split(qwen, "<0s-1s>\n"), (Words{"<", "0", "s", "-", "1", "s", ">\n"}));
  EXPECT_EQ(split(qwen,
                  "\U00031350a\u1c89"
                  "b"),
            (Words{"\U00031350a\u1c89"
                   "b"}));  // Unicode 15, 16
  EXPECT_EQ(split(qwen,
                  "e\u0301"
                  "a"),
            (Words{"e",
                   "\u0301"
                   "a"}));
  EXPECT_EQ(split(qwen, "   "), (Words{"   "}));
  EXPECT_EQ(split(qwen, ""), Words{});
}

TEST(PreTokenizer, WhatIsBetweenMatchesIsAWord) {
  EXPECT_EQ(split(PreTokenizer("[0-9]+", "test"), "ab12cd3"), (Words{"ab", "12", "cd", "3"}));
  EXPECT_EQ(split(PreTokenizer("x", "test"), "nothing"), Words{"nothing"});
}

TEST(PreTokenizer, LongRunsAreFine) {
  const PreTokenizer qwen(kQwenExpression, "test");
  for (const char* unit : {"a", " ", "\n", " \n", "=", "\u4e2d", "1"}) {
    std::string text;
    while (text.size() < 1'000'000) text += unit;
    size_t total = 0;
    for (const std::string& word : split(qwen, text)) total += word.size();
    EXPECT_EQ(total, text.size()) << unit;
  }
}

TEST(PreTokenizer, ExpressionsThatCannotBeUsedAreRefused) {
  const auto message = [](const std::string& expression) {
    return expect_model_error([&] { PreTokenizer(expression, "tokenizer.json"); });
  };
  EXPECT_THAT(message("a*"), HasSubstr("empty word"));
  EXPECT_THAT(message(""), HasSubstr("empty word"));
  EXPECT_THAT(message("[z-a]"), HasSubstr("cannot be compiled"));
  EXPECT_THAT(message(std::string(100'000, 'a')), HasSubstr("100000 bytes"));
  std::string nested;
  for (int i = 0; i < 10'000; ++i) nested += "(?:";
  EXPECT_THAT(message(nested + "a"), HasSubstr("tokenizer.json"));
  EXPECT_THAT(message("(?:(?:(?:a{1000}){1000}){1000}){1000}"), HasSubstr("cannot be compiled"));
}

TEST(PreTokenizer, EndlessBacktrackingIsAnError) {
  const PreTokenizer slow("(?:(?:a+)+)+b", "tokenizer.json");
  const std::string text = std::string(40, 'a') + "cb";
  EXPECT_THAT(expect_model_error([&] { split(slow, text); }), HasSubstr("does not come to an end"));
}

}  // namespace
}  // namespace streamo::text
