#include "text/bpe/vocab_merges.h"

#include <gmock/gmock.h>

#include "text/byte_level_fixture.h"

namespace streamo::text {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;
using testing::HasSubstr;

std::string error_message(const fs::path& folder) {
  return expect_model_error([&] { read_vocab_and_merges(folder); });
}

TEST(VocabMerges, ReadsWhatTokenizerJsonWouldSay) {
  const ScratchFolder folder;
  write_legacy(folder.path());
  const ByteLevelBpeFiles files = read_vocab_and_merges(folder.path());
  EXPECT_EQ(files.bpe.vocabulary.size(), 260u);
  ASSERT_EQ(files.bpe.merges.size(), 4u);
  EXPECT_EQ(files.bpe.merges[2], (std::pair<std::string, std::string>(" ", "the")));
  EXPECT_EQ(files.split_expression, kQwenExpression);
  EXPECT_TRUE(files.nfc);
  ASSERT_EQ(files.added_tokens.size(), chat_and_vision_tokens().size());
  EXPECT_EQ(files.added_tokens.back().content, "<|video_pad|>");
}

TEST(VocabMerges, MergesMayHaveWindowsLineEnds) {
  const ScratchFolder folder;
  write_legacy(folder.path());
  write_text(folder / "merges.txt", "#version: 0.2\r\nt h\r\nth e\r\n");
  EXPECT_EQ(read_vocab_and_merges(folder.path()).bpe.merges.size(), 2u);
}

// Truth: _from_pretrained() of transformers 5.23.
TEST(VocabMerges, AddedTokensMayStandInTheirOwnFile) {
  const ScratchFolder folder;
  write_legacy(folder.path());
  write_text(folder / "tokenizer_config.json",
             R"({"tokenizer_class": "Qwen2Tokenizer", "eos_token": {"content": "<e>"}})");
  write_text(folder / "special_tokens_map.json", R"({"additional_special_tokens": ["<s>"]})");
  write_text(folder / "added_tokens.json", R"({"<w>": 262, "<s>": 261, "<e>": 260})");
  const std::vector<AddedToken> tokens = read_vocab_and_merges(folder.path()).added_tokens;
  ASSERT_EQ(tokens.size(), 3u);
  EXPECT_EQ(tokens[0].content, "<e>");
  EXPECT_TRUE(tokens[0].special && tokens[1].special && !tokens[2].special);
  EXPECT_TRUE(!tokens[0].normalized && !tokens[1].normalized && tokens[2].normalized);
}

TEST(VocabMerges, OtherFamiliesAreRefused) {
  const ScratchFolder folder;
  write_legacy(folder.path());
  for (const char* config : {R"({"tokenizer_class": "GPT2Tokenizer"})", "{}"}) {
    write_text(folder / "tokenizer_config.json", config);
    EXPECT_THAT(error_message(folder.path()), HasSubstr("tokenizer_class"));
  }
}

TEST(VocabMerges, MissingAndBrokenFilesAreNamed) {
  for (const char* name : {"merges.txt", "tokenizer_config.json", "vocab.json"}) {
    const ScratchFolder folder;
    write_legacy(folder.path());
    fs::remove(folder / name);
    EXPECT_THAT(error_message(folder.path()), HasSubstr(name));
    write_text(folder / name, "{\"a");
    EXPECT_THAT(error_message(folder.path()), HasSubstr(name));
    fs::remove(folder / name);
    fs::create_directory(folder / name);
    EXPECT_THAT(error_message(folder.path()), HasSubstr(name));
  }
  for (const char* vocabulary : {"[]", "{\"a\": []}", "{\"a\": {\"b\": 1}}", "{\"a\": 1.5}", "3",
                                 "", "{\"a\": 1} x", "{\"a\": 1, \"a\": 2}"}) {
    const ScratchFolder folder;
    write_legacy(folder.path());
    write_text(folder / "vocab.json", vocabulary);
    EXPECT_THAT(expect_model_error(
                    [&] { BpeModel(read_vocab_and_merges(folder.path()).bpe, "vocab.json"); }),
                HasSubstr("vocab.json"))
        << vocabulary;
  }
}

TEST(VocabMerges, BrokenAddedTokensAreNamed) {
  const ScratchFolder folder;
  write_legacy(folder.path());
  ordered_json config = small_tokenizer_config();
  config["added_tokens_decoder"]["x"] = added_token_json("<x>");
  write_text(folder / "tokenizer_config.json", config.dump());
  EXPECT_THAT(error_message(folder.path()), HasSubstr("'x'"));
  write_text(folder / "tokenizer_config.json",
             R"({"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": {"260": "<x>"}})");
  EXPECT_THAT(error_message(folder.path()), HasSubstr("260"));
  write_text(folder / "tokenizer_config.json", R"({"tokenizer_class": "Qwen2Tokenizer"})");
  write_text(folder / "added_tokens.json", R"({"<w>": 260, "<s>": 260})");
  EXPECT_THAT(error_message(folder.path()), HasSubstr("the id 260"));
}

}  // namespace
}  // namespace streamo::text
