#include "text/bpe/word_cache.h"

#include <gmock/gmock.h>

#include <string>

namespace streamo::text {
namespace {

using testing::ElementsAre;

TEST(WordCache, GivesBackWhatItHolds) {
  WordCache cache;
  std::vector<TokenId> ids = {7};
  EXPECT_FALSE(cache.find("word", ids));
  const TokenId word[] = {1, 2, 3, 4};
  cache.insert("word", word, 4);
  cache.insert("wor", word, 1);
  EXPECT_TRUE(cache.find("word", ids));
  EXPECT_THAT(ids, ElementsAre(7, 1, 2, 3, 4));
  EXPECT_TRUE(cache.find("wor", ids));
  EXPECT_THAT(ids, ElementsAre(7, 1, 2, 3, 4, 1));
}

TEST(WordCache, WordsThatDifferOnlyInZeroBytesDiffer) {
  WordCache cache;
  const TokenId id[] = {5};
  cache.insert(std::string_view("a", 1), id, 1);
  std::vector<TokenId> ids;
  EXPECT_FALSE(cache.find(std::string_view("a\0", 2), ids));
  EXPECT_FALSE(cache.find(std::string_view("\0", 1), ids));
}

TEST(WordCache, LongWordsAreNotKept) {
  WordCache cache;
  const TokenId ids[] = {1, 2, 3, 4, 5};
  std::vector<TokenId> found;
  cache.insert("five", ids, 5);
  EXPECT_FALSE(cache.find("five", found));
  cache.insert("sixteen bytes...", ids, 1);
  EXPECT_FALSE(cache.find("sixteen bytes...", found));
  cache.insert("fifteen bytes..", ids, 1);
  EXPECT_TRUE(cache.find("fifteen bytes..", found));
}

TEST(WordCache, NeverGivesAnotherWordsIds) {
  WordCache cache;
  for (TokenId id = 0; id < 200'000; ++id) {  // more words than places
    cache.insert(std::to_string(id), &id, 1);
  }
  int held = 0;
  for (TokenId id = 0; id < 200'000; ++id) {
    std::vector<TokenId> ids;
    if (!cache.find(std::to_string(id), ids)) continue;
    ++held;
    ASSERT_THAT(ids, ElementsAre(id));
  }
  EXPECT_GT(held, 20'000);
}

}  // namespace
}  // namespace streamo::text
