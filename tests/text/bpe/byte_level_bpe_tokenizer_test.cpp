#include "text/bpe/byte_level_bpe_tokenizer.h"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "core/rng.h"
#include "text/byte_level_fixture.h"
#include "text/tokenizer_json.h"

namespace streamo::text {
namespace {

using nlohmann::ordered_json;
using testing::ElementsAre;
using testing::HasSubstr;

std::unique_ptr<Tokenizer> make(const ordered_json& json) {
  return std::make_unique<ByteLevelBpeTokenizer>(
      read_byte_level_bpe(parse_tokenizer_json(json.dump(), "test"), "tokenizer.json"));
}

// The small tokenizer with one more added token.
ordered_json with_token(const std::string& content, TokenId id, bool normalized = false,
                        bool special = false) {
  ordered_json json = small_tokenizer_json();
  ordered_json entry = {{"id", id}};
  entry.update(added_token_json(content, special));
  entry["normalized"] = normalized;
  json["added_tokens"].push_back(entry);
  return json;
}

const TokenId kNextFree = kFirstAdded + static_cast<TokenId>(chat_and_vision_tokens().size());

const Tokenizer& tokenizer() {
  static const std::unique_ptr<Tokenizer> small = make(small_tokenizer_json());
  return *small;
}

// Truth: the vocabulary of byte_level_fixture.h, by hand.
TEST(ByteLevelBpeTokenizer, EncodesWordByWord) {
  EXPECT_THAT(tokenizer().encode("the the"), ElementsAre(kThe, kSpaceThe));
  EXPECT_THAT(tokenizer().encode("abth "), ElementsAre(kAb, kTh, ' '));
  EXPECT_THAT(tokenizer().encode("a1b"), ElementsAre('a', '1', 'b'));  // no merge across words
  EXPECT_THAT(tokenizer().encode("\u00e9"), ElementsAre(0xc3, 0xa9));
  EXPECT_THAT(tokenizer().encode(""), ElementsAre());
}

TEST(ByteLevelBpeTokenizer, TextIsNormalizedFirst) {
  EXPECT_EQ(tokenizer().encode("e\u0301"), tokenizer().encode("\u00e9"));
  ordered_json json = small_tokenizer_json();
  json["normalizer"] = nullptr;
  EXPECT_THAT(make(json)->encode("e\u0301"), ElementsAre('e', 0xcc, 0x81));
}

TEST(ByteLevelBpeTokenizer, AddedTokensAreCutOutFirst) {
  EXPECT_THAT(tokenizer().encode("the<|im_end|> the"),
              ElementsAre(kThe, tokenizer().special_id("<|im_end|>"), kSpaceThe));
  EXPECT_THAT(tokenizer().encode("<|im_end|"), testing::Each(testing::Lt(256)));
  // U+0338 would make ">" another character, but the token was taken before normalization.
  EXPECT_THAT(tokenizer().encode("<|im_end|>\u0338"),
              ElementsAre(tokenizer().special_id("<|im_end|>"), 0xcc, 0xb8));
}

TEST(ByteLevelBpeTokenizer, NormalizedTokensAreLookedForInNormalizedText) {
  const auto normalized = make(with_token("caf\u00e9", kNextFree, true));
  EXPECT_THAT(normalized->encode("cafe\u0301"), ElementsAre(kNextFree));
  const auto as_given = make(with_token("caf\u00e9", kNextFree, false));
  EXPECT_EQ(as_given->encode("cafe\u0301").size(), 5u);
  EXPECT_THAT(as_given->encode("caf\u00e9"), ElementsAre(kNextFree));
  // Tokens that are taken from the text as given go first, wherever they stand.
  ordered_json both = with_token("ab<", kNextFree, true);
  EXPECT_THAT(make(both)->encode("ab<|im_end|>"),
              ElementsAre(kAb, tokenizer().special_id("<|im_end|>")));
}

TEST(ByteLevelBpeTokenizer, BrokenUtf8IsReplaced) {
  EXPECT_EQ(tokenizer().encode("a\xff"
                               "b"),
            tokenizer().encode("a\ufffd"
                               "b"));
  EXPECT_EQ(tokenizer().encode("\xe4\xb8"), tokenizer().encode("\ufffd"));
  const std::vector<TokenId> half = {0xe4, 0xb8};
  EXPECT_EQ(tokenizer().decode(half, false), "\ufffd");
}

TEST(ByteLevelBpeTokenizer, GivesBackRandomText) {
  core::Rng rng{3};
  for (int round = 0; round < 500; ++round) {
    std::string text;
    for (int64_t i = rng.integer(0, 30); i > 0; --i) {
      text +=
          rng.pick(std::vector<std::string>{"the", " ", "a", "b", "\n", "\u4e2d", "\U0001f600", "1",
                                            "<|im_end|>", "<|", "'s", "\t", std::string(1, '\0')});
    }
    EXPECT_EQ(tokenizer().decode(tokenizer().encode(text), false), text);
  }
}

TEST(ByteLevelBpeTokenizer, DecodeLeavesSpecialTokensOut) {
  const auto ids = tokenizer().encode("the<|im_end|>a");
  EXPECT_EQ(tokenizer().decode(ids, false), "the<|im_end|>a");
  EXPECT_EQ(tokenizer().decode(ids, true), "thea");
  const auto ordinary = make(with_token("<tool>", kNextFree));
  EXPECT_EQ(ordinary->decode(ordinary->encode("a<tool>"), true), "a<tool>");
  // A state is left out even where a file says that it is an ordinary token.
  const auto state = make(with_token("</Silence>", kNextFree));
  EXPECT_EQ(state->decode(state->encode("a</Silence>"), true), "a");
}

TEST(ByteLevelBpeTokenizer, IdsWithoutATokenStandForNothing) {
  const std::vector<TokenId> ids = {-1, 'a', 5000, 1 << 30};
  EXPECT_EQ(tokenizer().decode(ids, false), "a");
  EXPECT_EQ(tokenizer().vocab_size(), kNextFree);
  EXPECT_EQ(tokenizer().special_id("the"), -1);
  EXPECT_EQ(tokenizer().special_id("</Silence>"), -1);
}

// Truth: tokenizers gives added tokens their ids by this rule and only warns when the file differs.
TEST(ByteLevelBpeTokenizer, AddedTokensMustHaveTheIdsThatTheirPlaceGives) {
  const auto message = [](const ordered_json& json) {
    return expect_model_error([&] { make(json); });
  };
  EXPECT_THAT(message(with_token("<x>", kNextFree + 1)), HasSubstr("'<x>' has the id"));
  EXPECT_THAT(message(with_token("<x>", 'a')), HasSubstr("'<x>' has the id 97"));
  EXPECT_THAT(message(with_token("the", kNextFree)), HasSubstr("the vocabulary has it as 257"));
  EXPECT_NO_THROW(make(with_token("the", kThe)));
  EXPECT_THAT(message(with_token("<|im_end|>", kNextFree)), HasSubstr("twice"));
  ordered_json json = with_token("e\u0301", kNextFree, true);
  ordered_json entry = {{"id", kNextFree + 1}};
  entry.update(added_token_json("\u00e9"));
  entry["normalized"] = true;
  json["added_tokens"].push_back(entry);
  EXPECT_THAT(message(json), HasSubstr("twice"));
}

TEST(ByteLevelBpeTokenizer, EncodesFromManyThreads) {
  std::vector<std::string> texts;
  std::vector<std::vector<TokenId>> expected;
  for (int i = 0; i < 50; ++i) {
    texts.push_back("the ball <" + std::to_string(i) + "s> e\u0301<|im_end|> the\xff");
    expected.push_back(make(small_tokenizer_json())->encode(texts.back()));
  }
  std::atomic<int> different = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        for (size_t i = 0; i < texts.size(); ++i) {
          different += tokenizer().encode(texts[i]) != expected[i];
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(different, 0);
}

}  // namespace
}  // namespace streamo::text
