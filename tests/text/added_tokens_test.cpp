#include "text/added_tokens.h"

#include <gmock/gmock.h>

#include "text/byte_level_fixture.h"

namespace streamo::text {
namespace {

using Parts = std::vector<std::string>;

AddedTokenMatcher matcher(const std::vector<std::string>& contents) {
  std::vector<AddedToken> tokens;
  for (const std::string& content : contents) {
    tokens.push_back({static_cast<TokenId>(tokens.size()), content});
  }
  return {tokens, "test"};
}

// Plain parts as they are, tokens in brackets.
Parts split(const AddedTokenMatcher& matcher, std::string_view text) {
  Parts parts;
  matcher.split(
      text, [&](std::string_view part) { parts.emplace_back(part); },
      [&](const AddedToken& token) { parts.push_back("[" + token.content + "]"); });
  return parts;
}

TEST(AddedTokenMatcher, FindsTokensAnywhere) {
  const AddedTokenMatcher tokens = matcher({"<a>", "<b>"});
  EXPECT_EQ(split(tokens, "x<a>y<b><a>"), (Parts{"x", "[<a>]", "y", "[<b>]", "[<a>]"}));
  EXPECT_EQ(split(tokens, "<a"), Parts{"<a"});
  EXPECT_EQ(split(tokens, "<<a>"), (Parts{"<", "[<a>]"}));
  EXPECT_EQ(split(tokens, ""), Parts{});
  EXPECT_EQ(split(matcher({}), "<a>"), Parts{"<a>"});
}

TEST(AddedTokenMatcher, TheLeftmostThenTheLongestWins) {
  const AddedTokenMatcher tokens = matcher({"ab", "abcd", "bc", "bcde", "a\xff", "abc\xff"});
  EXPECT_EQ(split(tokens, "abcde"), (Parts{"[abcd]", "e"}));
  EXPECT_EQ(split(tokens, "abcx"), (Parts{"[ab]", "cx"}));
  EXPECT_EQ(split(tokens, "xbcdex"), (Parts{"x", "[bcde]", "x"}));
  EXPECT_EQ(split(tokens, "abab"), (Parts{"[ab]", "[ab]"}));
  EXPECT_EQ(split(tokens, "abc\xff"), Parts{"[abc\xff]"});
}

TEST(AddedTokenMatcher, EqualOrEmptyTokensAreRefused) {
  EXPECT_THAT(expect_model_error([] { matcher({"a", "b", "a"}); }), testing::HasSubstr("'a'"));
  EXPECT_THAT(expect_model_error([] { matcher({"a", ""}); }), testing::HasSubstr("empty"));
}

}  // namespace
}  // namespace streamo::text
