#include "text/bpe/split_expression.h"

#include <gmock/gmock.h>

#include "text/byte_level_fixture.h"

namespace streamo::text {
namespace {

using testing::HasSubstr;

TEST(SplitExpression, WhatBothDialectsShareStays) {
  for (const char* expression : {"(?i:'s|'LL)|[^\\r\\n]?a+", "(?:ab){1,3}c*", "x(?!y)|(?=z)z",
                                 "[a-z\\-\\]]+| ?\u00e9", "\\(\\)\\[\\]\\.\\\\", "#<>!:=,~-"}) {
    EXPECT_EQ(to_pcre2(expression, "test"), expression);
  }
}

TEST(SplitExpression, PropertiesAreThoseOfThePackagesUnicode) {
  EXPECT_EQ(to_pcre2("\\s+(?!\\S)|[^\\s]", "test"),
            "\\p{White_Space}+(?!\\P{White_Space})|[^\\p{White_Space}]");
  const std::string letters = to_pcre2("\\p{L}", "test");
  EXPECT_THAT(letters, testing::StartsWith("[\\p{L}\\x{1c89}-\\x{1c8a}"));
  EXPECT_THAT(letters, testing::EndsWith("\\x{323af}]"));
  EXPECT_EQ(to_pcre2("[^\\p{L}]", "test"), "[^" + letters.substr(1));
}

// Each means something else in the two dialects, or might: no text may be cut in another way.
TEST(SplitExpression, EverythingElseIsRefused) {
  for (const char* expression :
       {"(a)",     "(?<name>a)", "(?i)a",      "(?<=a)b",     "(?>a)",
        "(?i:Ss)", "(?i:first)", "(?i:[a-z])", "(?i:a(?:b))", "(?i:\u00e9)",
        "(?i:a+)", "(?i:a",      "a{1,2,3}",   "a++",         "a+?",
        "a{2}+",   "a{,3}",      "a{x}",       "a{2",         ".",
        "^a",      "a$",         "\\w",        "\\d",         "\\h",
        "\\p{Lu}", "\\p{^L}",    "\\P{L}",     "\\b",         "\\z",
        "\\x41",   "\\u0041",    "[a[b]]",     "[[:alpha:]]", "[a&&b]",
        "[]a]",    "[a",         "[^",         "(?:a",        "a)",
        "*a",      "\\",         "[\\",        "a]",          "a}",
        "{"}) {
    EXPECT_THAT(expect_model_error([&] { to_pcre2(expression, "tokenizer.json"); }),
                HasSubstr("tokenizer.json"))
        << expression;
  }
}

TEST(SplitExpression, TheRefusalSaysWhereAndWhat) {
  EXPECT_THAT(expect_model_error([] { to_pcre2("ab\\w+", "test"); }),
              testing::AllOf(HasSubstr("'\\w+'"), HasSubstr("byte 2")));
}

}  // namespace
}  // namespace streamo::text
