#include "text/bpe/bpe_model.h"

#include <gmock/gmock.h>

#include <limits>
#include <map>

#include "core/rng.h"
#include "text/byte_level_fixture.h"

namespace streamo::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

BpeFiles bytes_only() {
  BpeFiles files;
  for (int byte = 0; byte < 256; ++byte) {
    files.vocabulary.emplace_back(std::string(1, static_cast<char>(byte)), byte);
  }
  return files;
}

BpeFiles with_merges(const std::vector<std::pair<std::string, std::string>>& merges) {
  BpeFiles files = bytes_only();
  files.merges = merges;
  for (const auto& [left, right] : merges) {
    files.vocabulary.emplace_back(left + right, static_cast<TokenId>(files.vocabulary.size()));
  }
  return files;
}

std::vector<TokenId> encode(const BpeModel& model, std::string_view word) {
  BpeModel::Scratch scratch;
  std::vector<TokenId> ids;
  model.encode(word, scratch, ids);
  return ids;
}

// The definition, word for word: join the leftmost pair of the lowest rank until there is none.
std::vector<std::string> joined_by_definition(
    std::string_view word, const std::map<std::pair<std::string, std::string>, int>& ranks) {
  std::vector<std::string> parts;
  for (const char byte : word) parts.emplace_back(1, byte);
  for (;;) {
    int best_rank = std::numeric_limits<int>::max();
    size_t best = 0;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = ranks.find({parts[i], parts[i + 1]});
      if (found != ranks.end() && found->second < best_rank) {
        best_rank = found->second;
        best = i;
      }
    }
    if (best_rank == std::numeric_limits<int>::max()) return parts;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST(BpeModel, JoinsByRank) {
  const BpeModel model(with_merges({{"b", "c"}, {"a", "b"}, {"a", "bc"}}), "test");
  EXPECT_THAT(encode(model, "abc"), ElementsAre(258));
  EXPECT_THAT(encode(model, "ab"), ElementsAre(257));
  EXPECT_THAT(encode(model, "abab"), ElementsAre(257, 257));
  EXPECT_THAT(encode(model, ""), ElementsAre());
}

TEST(BpeModel, EqualsTheDefinitionOnRandomMerges) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    core::Rng rng{seed};
    BpeFiles files = bytes_only();
    std::vector<std::string> tokens = {"a", "b", "c", "d"};
    std::map<std::pair<std::string, std::string>, int> ranks;
    while (ranks.size() < 60) {  // every new token comes from one pair, as in a trained vocabulary
      const std::string left = rng.pick(tokens), right = rng.pick(tokens);
      const bool is_new = std::find(tokens.begin(), tokens.end(), left + right) == tokens.end();
      if (!is_new) continue;
      ranks.emplace(std::pair(left, right), static_cast<int>(ranks.size()));
      files.merges.emplace_back(left, right);
      files.vocabulary.emplace_back(left + right, static_cast<TokenId>(files.vocabulary.size()));
      tokens.push_back(left + right);
    }
    const BpeModel model(std::move(files), "test");
    for (int round = 0; round < 200; ++round) {
      std::string word;
      for (int64_t i = rng.integer(1, 40); i > 0; --i)
        word += static_cast<char>('a' + rng.integer(0, 3));
      std::vector<std::string> parts;
      for (const TokenId id : encode(model, word)) parts.emplace_back(model.token_bytes(id));
      ASSERT_EQ(parts, joined_by_definition(word, ranks)) << seed << " " << word;
    }
  }
}

TEST(BpeModel, TheLaterOfTwoEqualMergesCounts) {
  BpeFiles files = with_merges({{"a", "b"}, {"b", "c"}});
  files.merges.emplace_back("a", "b");
  EXPECT_THAT(encode(BpeModel(std::move(files), "test"), "abc"), ElementsAre('a', 257));
}

TEST(BpeModel, IgnoreMergesTakesWholeWordsFirst) {
  BpeFiles files = with_merges({{"b", "c"}});
  files.vocabulary.emplace_back("abc", 257);
  EXPECT_THAT(encode(BpeModel(files, "test"), "abc"), ElementsAre('a', 256));
  files.ignore_merges = true;
  const BpeModel model(std::move(files), "test");
  EXPECT_THAT(encode(model, "abc"), ElementsAre(257));
  EXPECT_THAT(encode(model, "abcb"), ElementsAre('a', 256, 'b'));
}

TEST(BpeModel, AWordOfMegabytesTakesNoSquareOfItsLength) {
  const BpeModel model(with_merges({{"a", "a"}, {"aa", "aa"}}), "test");
  const std::string word(4'000'000, 'a');
  EXPECT_EQ(encode(model, word), std::vector<TokenId>(1'000'000, 257));
}

TEST(BpeModel, ContradictionsAreNamed) {
  const auto message = [](BpeFiles files) {
    return expect_model_error([&] { BpeModel(std::move(files), "vocab.json"); });
  };
  BpeFiles files = bytes_only();
  files.vocabulary.pop_back();
  EXPECT_THAT(message(files), HasSubstr("0xff"));
  EXPECT_THAT(message({}), HasSubstr("0x00"));
  files = bytes_only();
  files.vocabulary.emplace_back(" a", 97);
  EXPECT_THAT(message(files), HasSubstr("'a' and '\u0120a' have the same id 97"));
  files = bytes_only();
  files.vocabulary.emplace_back("a", 300);
  EXPECT_THAT(message(files), HasSubstr("'a' stands there twice"));
  files = bytes_only();
  files.merges.emplace_back(" ", "b");
  EXPECT_THAT(message(files), HasSubstr("needs the token '\u0120b'"));
  files = bytes_only();
  files.vocabulary.emplace_back("", 256);
  EXPECT_THAT(message(files), HasSubstr("id 256 is empty"));
}

TEST(BpeModel, IdsWithoutATokenHaveNoBytes) {
  BpeFiles files = bytes_only();
  files.vocabulary.emplace_back("far", 300);
  const BpeModel model(std::move(files), "test");
  EXPECT_EQ(model.vocab_size(), 301);
  EXPECT_EQ(model.num_tokens(), 257);
  EXPECT_EQ(model.token_bytes(300), "far");
  for (const TokenId id : {-1, 256, 301, std::numeric_limits<TokenId>::max()}) {
    EXPECT_EQ(model.token_bytes(id), "") << id;
  }
}

}  // namespace
}  // namespace streamo::text
