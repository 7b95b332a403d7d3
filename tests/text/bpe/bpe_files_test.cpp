// The parts that tokenizer.json and vocab.json with merges.txt share.
#include "text/bpe/bpe_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "streamo/core/error.h"

namespace streamo::text {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

template <typename Call>
void expect_refused(const Call& call, const std::string& said) {
  try {
    call();
    FAIL() << "not refused: " << said;
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kModel);
    EXPECT_THAT(error.what(), testing::AllOf(HasSubstr("the-file"), HasSubstr(said)));
  }
}

TEST(BpeFiles, IdsAreWholeNumbersThatIndexATable) {
  EXPECT_EQ(read_token_id(json(0), "a", "the-file"), 0);
  EXPECT_EQ(read_token_id(json((1 << 22) - 1), "a", "the-file"), (1 << 22) - 1);
  for (const json& wrong : {json(-1), json(1 << 22), json(1.0), json("1"), json(nullptr),
                            json(UINT64_MAX), json::parse("[1]"), json(true)})
    expect_refused([&] { read_token_id(wrong, "a", "the-file"); },
                   "'a' has the id " + wrong.dump());
}

TEST(BpeFiles, AMergeIsTwoTokensWithASpaceBetween) {
  EXPECT_THAT(read_merge("a bc", "the-file"), Pair("a", "bc"));
  for (const char* wrong : {"", " ", "a", "a ", " b", "a b c", "a  b"})
    expect_refused([&] { read_merge(wrong, "the-file"); }, wrong);
  EXPECT_TRUE(is_version_line("#version: 0.2"));
  EXPECT_FALSE(is_version_line("# version"));
}

TEST(BpeFiles, AnAddedTokenNamesWhatItLacks) {
  const json whole = {{"content", "<x>"}, {"special", true}, {"normalized", false},
                      {"lstrip", false},  {"rstrip", false}, {"single_word", false}};
  const AddedToken token = read_added_token(whole, 5, "the-file");
  EXPECT_EQ(token.content, "<x>");
  EXPECT_EQ(token.id, 5);
  for (const auto& [key, _] : whole.items()) {
    json lacking = whole;
    lacking.erase(key);
    expect_refused([&] { read_added_token(lacking, 5, "the-file"); }, key);
    lacking[key] = 7;
    expect_refused([&] { read_added_token(lacking, 5, "the-file"); }, key);
  }
  for (const char* key : {"lstrip", "rstrip", "single_word"}) {
    json asking = whole;
    asking[key] = true;
    expect_refused([&] { read_added_token(asking, 5, "the-file"); }, key);
  }
  json empty = whole;
  empty["content"] = "";
  expect_refused([&] { read_added_token(empty, 5, "the-file"); }, "is empty");
  expect_refused([&] { read_added_token(json::array(), 5, "the-file"); }, "the added token 5");
}

TEST(BpeFiles, SpellingsBecomeBytesUnlessTheyAreAddedTokens) {
  const BpeFiles files =
      to_bytes({.vocabulary = {{"\u0120a", 3}, {"a\u2581", 4}}, .merges = {{"\u0120", "a"}}},
               {AddedToken{4, "a\u2581", true, false}}, "the-file");
  EXPECT_THAT(files.vocabulary, ElementsAre(Pair(" a", 3)));
  EXPECT_THAT(files.merges, ElementsAre(Pair(" ", "a")));
  expect_refused(
      [] {
        to_bytes({.vocabulary = {{"a\u2581", 4}}, .merges = {}}, {}, "the-file");
      },
      "is no spelling of bytes");
  expect_refused(
      [] {
        to_bytes({.vocabulary = {}, .merges = {{"\u2581", "a"}}}, {}, "the-file");
      },
      "in a merge is no spelling");
}

}  // namespace
}  // namespace streamo::text
