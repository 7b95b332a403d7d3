// That transformers loads what is written here is checked by tests/oracle/tokenizer_oracle.py.
#include <gmock/gmock.h>

#include "core/io/file.h"
#include "streamo/text/special_tokens.h"
#include "text/byte_level_fixture.h"
#include "text/tokenizer_fixture.h"

namespace streamo::text {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;
using testing::HasSubstr;

const std::vector<std::string> kStates = {"</Silence>", "</Standby>", "</Response>"};
const TokenId kFirstState = kFirstAdded + static_cast<TokenId>(chat_and_vision_tokens().size());

ordered_json read_json(const fs::path& path) {
  return ordered_json::parse(core::read_file(path));
}

void expect_states(const fs::path& folder) {
  const auto tokenizer = load_tokenizer(folder);
  EXPECT_EQ(missing_special_tokens(*tokenizer, kStates), std::vector<std::string>{});
  const SpecialTokens special = SpecialTokens::resolve(*tokenizer);
  for (int i = 0; i < kNumStates; ++i) EXPECT_EQ(special.states[i], kFirstState + i);
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("a</Standby>"), true), "a");
  EXPECT_EQ(tokenizer->vocab_size(), kFirstState + kNumStates);
}

TEST(AddSpecialTokens, ToAPublishedDirectory) {
  const ScratchFolder from, to;
  write_published(from.path());
  const auto before = load_tokenizer(from.path());
  EXPECT_EQ(missing_special_tokens(*before, kStates), kStates);
  add_special_tokens(from.path(), to.path(), kStates);
  expect_states(to.path());

  const ordered_json json = read_json(to / "tokenizer.json");
  ordered_json expected = read_json(from / "tokenizer.json");
  ASSERT_EQ(json["added_tokens"].size(), expected["added_tokens"].size() + 3);
  ordered_json last = {{"id", kFirstState + 2}};
  last.update(added_token_json("</Response>"));
  EXPECT_EQ(json["added_tokens"].back(), last);
  expected["added_tokens"] = json["added_tokens"];
  EXPECT_EQ(json, expected);  // the rest is as it was

  const ordered_json config = read_json(to / "tokenizer_config.json");
  const ordered_json& decoder = config["added_tokens_decoder"];
  EXPECT_EQ(decoder[std::to_string(kFirstState)], added_token_json("</Silence>"));
  EXPECT_EQ(config["additional_special_tokens"].back(), "</Response>");
}

TEST(AddSpecialTokens, ToAFolderThatTransformers5Saved) {
  const ScratchFolder from, to;
  write_published(from.path());
  write_text(from / "tokenizer_config.json",
             "{\n  \"extra_special_tokens\": [\n    \"<|im_start|>\"\n  ],\n"
             "  \"model_max_length\": 1000000000000000019884624838656\n}\n");
  add_special_tokens(from.path(), to.path(), kStates);
  expect_states(to.path());
  EXPECT_EQ(core::read_file(to / "tokenizer_config.json"),
            "{\n  \"extra_special_tokens\": [\n    \"<|im_start|>\",\n    \"</Silence>\",\n"
            "    \"</Standby>\",\n    \"</Response>\"\n  ],\n"
            "  \"model_max_length\": 1000000000000000019884624838656\n}\n");
}

TEST(AddSpecialTokens, ToVocabularyAndMerges) {
  const ScratchFolder from, to;
  write_legacy(from.path());
  add_special_tokens(from.path(), to.path(), kStates);
  expect_states(to.path());
  EXPECT_FALSE(fs::exists(to / "tokenizer.json"));
  EXPECT_EQ(core::read_file(to / "vocab.json"), core::read_file(from / "vocab.json"));
  EXPECT_EQ(core::read_file(to / "merges.txt"), core::read_file(from / "merges.txt"));
}

TEST(AddSpecialTokens, ToTheFilesOfOlderVersions) {
  const ScratchFolder from, to;
  write_legacy(from.path());
  write_text(from / "tokenizer_config.json", R"({"tokenizer_class": "Qwen2Tokenizer"})");
  ordered_json added, map = {{"additional_special_tokens", chat_and_vision_tokens()}};
  for (const std::string& token : chat_and_vision_tokens())
    added[token] = kFirstAdded + added.size();
  write_text(from / "added_tokens.json", added.dump());
  write_text(from / "special_tokens_map.json", map.dump());
  add_special_tokens(from.path(), to.path(), kStates);
  expect_states(to.path());
  EXPECT_EQ(read_json(to / "added_tokens.json")["</Standby>"], kFirstState + 1);
  EXPECT_EQ(read_json(to / "special_tokens_map.json")["additional_special_tokens"].back(),
            "</Response>");
}

TEST(AddSpecialTokens, OnlyWhatIsMissing) {
  const ScratchFolder from, half, whole;
  write_published(from.path());
  add_special_tokens(from.path(), half.path(), {"</Standby>"});
  const auto missing = missing_special_tokens(*load_tokenizer(half.path()), kStates);
  EXPECT_EQ(missing, (std::vector<std::string>{"</Silence>", "</Response>"}));
  add_special_tokens(half.path(), whole.path(), missing);
  const auto tokenizer = load_tokenizer(whole.path());
  EXPECT_EQ(tokenizer->special_id("</Standby>"), kFirstState);
  EXPECT_EQ(tokenizer->special_id("</Silence>"), kFirstState + 1);
  const ScratchFolder same;
  add_special_tokens(whole.path(), same.path(), {});
  EXPECT_EQ(core::read_file(same / "tokenizer.json"), core::read_file(whole / "tokenizer.json"));
}

TEST(AddSpecialTokens, AnotherModelsTokenizerIsRefused) {
  const ScratchFolder folder;
  ordered_json json = small_tokenizer_json();
  json["added_tokens"].erase(4);
  for (size_t i = 0; i < json["added_tokens"].size(); ++i)
    json["added_tokens"][i]["id"] = kFirstAdded + i;
  write_text(folder / "tokenizer.json", json.dump());
  const auto tokenizer = load_tokenizer(folder.path());
  EXPECT_THAT(expect_model_error([&] { missing_special_tokens(*tokenizer, kStates); }),
              HasSubstr("<|vision_end|>"));
}

TEST(AddSpecialTokens, WhatCannotBeAddedIsRefused) {
  const ScratchFolder from, to;
  EXPECT_THAT(
      expect_model_error([&] { add_special_tokens(tokenizer_directory(), to.path(), kStates); }),
      HasSubstr("SentencePiece"));
  write_published(from.path());
  write_text(from / "tokenizer_config.json", "{\"a");
  EXPECT_THAT(expect_model_error([&] { add_special_tokens(from.path(), to.path(), kStates); }),
              HasSubstr("tokenizer_config.json"));
}

}  // namespace
}  // namespace streamo::text
