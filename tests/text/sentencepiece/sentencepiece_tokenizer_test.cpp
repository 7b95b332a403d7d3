// tokenizer.model, trained here. Truth: round trips, and SentencePiece's own rule for files that
// are none.
#include "text/sentencepiece/sentencepiece_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/file.h"
#include "core/io/scratch_folder.h"
#include "streamo/core/error.h"
#include "streamo/text/special_tokens.h"

namespace streamo::text {
namespace {

namespace fs = std::filesystem;

class SentencePieceFile : public testing::Test {
 protected:
  void SetUp() override {
    train_tokenizer({"The ball is red.", "The cup is blue, the ball is there."}, 400,
                    scratch_.path());
  }
  void expect_refused(const std::string& bytes) const {
    const fs::path path = scratch_.path() / "damaged.model";
    core::write_file_atomic(path, bytes);
    try {
      load_sentencepiece(path);
      FAIL() << bytes.size() << " bytes were taken";
    } catch (const core::Error& error) {
      EXPECT_EQ(error.kind(), core::ErrorKind::kModel);
      EXPECT_THAT(error.what(), testing::HasSubstr("damaged.model"));
    }
  }

  const core::ScratchFolder scratch_;
  const fs::path path_ = scratch_.path() / "tokenizer.model";
};

TEST_F(SentencePieceFile, EncodesAnyTextAndBack) {
  const auto tokenizer = load_sentencepiece(path_);
  for (const std::string text :
       {"The ball", "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xe2\x96\x81 two", ""}) {
    const std::vector<TokenId> ids = tokenizer->encode(text);
    for (const TokenId id : ids) EXPECT_LT(id, tokenizer->vocab_size());
    EXPECT_EQ(tokenizer->decode(ids), text);
  }
  for (const std::string& token : special_token_strings()) {
    EXPECT_EQ(tokenizer->encode(token), std::vector<TokenId>{tokenizer->special_id(token)})
        << token;
    EXPECT_EQ(tokenizer->decode(tokenizer->encode("a" + token), true), "a");
  }
  EXPECT_EQ(tokenizer->special_id("no such token"), -1);
}

TEST_F(SentencePieceFile, IdsOutsideStandForNoText) {
  const auto tokenizer = load_sentencepiece(path_);
  const auto last = static_cast<TokenId>(tokenizer->vocab_size());
  EXPECT_EQ(tokenizer->decode(std::vector<TokenId>{-1, last, last + 7, INT32_MAX, INT32_MIN}), "");
}

TEST_F(SentencePieceFile, WhatIsNoModelIsRefusedByName) {
  const std::string whole = core::read_file(path_);
  expect_refused("");
  expect_refused("{\"version\": \"1.0\"}");
  expect_refused(std::string(1000, '\0'));
  expect_refused(whole.substr(0, 1));
  expect_refused(whole.substr(0, whole.size() / 2));
  EXPECT_THROW(load_sentencepiece(scratch_.path() / "none.model"), core::Error);
}

}  // namespace
}  // namespace streamo::text
