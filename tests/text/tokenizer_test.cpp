#include "streamo/text/tokenizer.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "core/io/file.h"
#include "core/rng.h"
#include "streamo/core/error.h"
#include "streamo/text/special_tokens.h"
#include "text/tokenizer_fixture.h"

namespace streamo::text {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

fs::path scratch(const std::string& name) {
  const fs::path path = tokenizer_directory() / name;
  fs::remove_all(path);
  fs::create_directories(path);
  return path;
}

std::string error_message(const std::function<void()>& action, core::ErrorKind kind) {
  try {
    action();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), kind);
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

TEST(Tokenizer, GivesBackAnyText) {
  const std::vector<std::string> texts = {
      "",
      " ",
      "   leading and trailing   ",
      "two  spaces,\ttab\nnewline\n\n\nthree\r\nand CRLF",
      "never trained: Привет, 世界! \U0001F600 \u00e9 e\u0301",
      "full width \uff21\uff22, ligature \ufb01 and \u00bd stay as they are",
      "SentencePiece's own space: \u2581a\u2581\u2581",
      "<4s-5s> and <unk> <s> </s> <0x41> as words",
      "</Silence></Response> a</Standby>\n<|im_start|>x<|im_end|>",
      std::string("a zero byte \0 inside", 20),
  };
  for (const std::string& text : texts) {
    EXPECT_EQ(small_tokenizer().decode(small_tokenizer().encode(text)), text) << text;
  }
}

TEST(Tokenizer, GivesBackRandomUnicode) {
  core::Rng rng{7};
  for (int round = 0; round < 300; ++round) {
    std::string text;
    for (int64_t i = rng.integer(1, 20); i > 0; --i) {
      const int64_t code = rng.chance(0.5) ? rng.integer(1, 0x7f) : rng.integer(0x800, 0xd7ff);
      if (code < 0x80) {
        text += static_cast<char>(code);
      } else {
        text += static_cast<char>(0xe0 | (code >> 12));
        text += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
        text += static_cast<char>(0x80 | (code & 0x3f));
      }
    }
    EXPECT_EQ(small_tokenizer().decode(small_tokenizer().encode(text)), text);
  }
}

TEST(Tokenizer, BrokenUtf8IsReplaced) {
  EXPECT_EQ(small_tokenizer().encode("broken \xff\xc3"),
            small_tokenizer().encode("broken \ufffd\ufffd"));
  // The first byte of a character alone, as a model may generate it.
  const auto ids = small_tokenizer().encode("世");
  EXPECT_NO_THROW(small_tokenizer().decode(std::span(ids).first(1)));
}

TEST(Tokenizer, SpecialTokensAreOneIdAnywhere) {
  for (const std::string& token : special_token_strings()) {
    const TokenId id = small_tokenizer().special_id(token);
    ASSERT_GE(id, 0) << token;
    EXPECT_EQ(small_tokenizer().encode(token), std::vector<TokenId>{id}) << token;
    const auto ids = small_tokenizer().encode("the ball" + token + "crosses");
    EXPECT_EQ(std::count(ids.begin(), ids.end(), id), 1) << token;
  }
  EXPECT_EQ(small_tokenizer().special_id("</Sleep>"), -1);
}

TEST(Tokenizer, DecodeLeavesSpecialTokensOut) {
  const auto ids = small_tokenizer().encode("</Response> the ball<|im_end|>");
  EXPECT_EQ(small_tokenizer().decode(ids, true), " the ball");
  const std::vector<TokenId> beyond = {0, 100000, -3};
  EXPECT_EQ(small_tokenizer().decode(beyond, true), "");
}

TEST(Tokenizer, DigitsAreTokensOfTheirOwn) {
  const auto ids = small_tokenizer().encode("1234");
  EXPECT_EQ(ids.size(), 4u);
}

TEST(Tokenizer, LearnsFrequentWords) {
  const std::string text = "the red ball crosses the line";
  EXPECT_LE(small_tokenizer().encode(text).size(), text.size() / 2);
  EXPECT_LE(small_tokenizer().vocab_size(), 400);
}

TEST(Tokenizer, TrainingIsDeterministic) {
  const fs::path again = scratch("again");
  train_tokenizer(training_texts(), 400, again);
  EXPECT_EQ(core::read_file(again / "tokenizer.model"),
            core::read_file(tokenizer_directory() / "tokenizer.model"));
}

TEST(Tokenizer, LearnsFromTextsLongerThanSentencePiecesDefaultLimit) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "wonderful ";
  train_tokenizer({text}, 400, scratch("long"));
  EXPECT_LE(load_tokenizer(tokenizer_directory() / "long")->encode("wonderful").size(), 2u);
}

TEST(Tokenizer, LearnsFromHowOftenATextOccurs) {
  // Room for the four letters and one merge: the more frequent pair gets it.
  const int vocab_size = 1 + static_cast<int>(special_token_strings().size()) + 256 + 4 + 1;
  const auto pieces_of_ab = [&](int times, const char* name) {
    std::vector<std::string> texts(static_cast<size_t>(times), "ab");
    texts.insert(texts.end(), 10, "cd");
    train_tokenizer(texts, vocab_size, scratch(name));
    return load_tokenizer(tokenizer_directory() / name)->encode("ab").size();
  };
  EXPECT_EQ(pieces_of_ab(20, "often"), 1u);
  EXPECT_EQ(pieces_of_ab(5, "seldom"), 2u);
}

TEST(Tokenizer, LearnsFromTextsWithTabs) {
  train_tokenizer({"wonderful\twonderful", "\t", "wonderful\t"}, 400, scratch("tabs"));
  const auto tokenizer = load_tokenizer(tokenizer_directory() / "tabs");
  EXPECT_EQ(tokenizer->encode("wonderful").size(), 1u);
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("a\tb")), "a\tb");
}

TEST(Tokenizer, EncodesFromManyThreads) {
  const std::string text = "the red ball crosses <12s-13s>";
  const auto expected = small_tokenizer().encode(text);
  std::vector<std::thread> threads;
  std::atomic<int> different = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 200; ++k) different += small_tokenizer().encode(text) != expected;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(different, 0);
}

TEST(Tokenizer, ConfigForTransformersHasTheSameIds) {
  const auto config =
      nlohmann::json::parse(core::read_file(tokenizer_directory() / "tokenizer_config.json"));
  const auto& added = config.at("added_tokens_decoder");
  EXPECT_EQ(added.size(), special_token_strings().size());
  for (const auto& [id, token] : added.items()) {
    EXPECT_EQ(small_tokenizer().special_id(token.at("content").get<std::string>()), std::stoi(id));
  }
}

TEST(Tokenizer, TooSmallAVocabularyIsRefused) {
  EXPECT_THAT(error_message([] { train_tokenizer(training_texts(), 100, scratch("small")); },
                            core::ErrorKind::kConfig),
              HasSubstr("100"));
  EXPECT_THAT(error_message([] { train_tokenizer(training_texts(), 270, scratch("small")); },
                            core::ErrorKind::kConfig),
              HasSubstr("larger"));
  EXPECT_THAT(
      error_message([] { train_tokenizer({}, 400, scratch("small")); }, core::ErrorKind::kConfig),
      HasSubstr("0 texts"));
}

}  // namespace
}  // namespace streamo::text
