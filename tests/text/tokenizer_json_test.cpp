#include "text/tokenizer_json.h"

#include <gmock/gmock.h>

#include "core/rng.h"
#include "text/byte_level_fixture.h"

namespace streamo::text {
namespace {

using nlohmann::ordered_json;
using testing::HasSubstr;

ByteLevelBpeFiles read(const std::string& content) {
  return read_byte_level_bpe(parse_tokenizer_json(content, "tokenizer.json"), "tokenizer.json");
}

ByteLevelBpeFiles read(const ordered_json& json) {
  return read(json.dump());
}

// What is said about the small tokenizer with one value set.
std::string message_with(const std::string& pointer, const ordered_json& value) {
  ordered_json json = small_tokenizer_json();
  json[ordered_json::json_pointer(pointer)] = value;
  return expect_model_error([&] { read(json); });
}

TEST(TokenizerJson, ReadsAllThatMatters) {
  const ByteLevelBpeFiles files = read(small_tokenizer_json());
  EXPECT_EQ(files.bpe.vocabulary.size(), 260u);
  EXPECT_EQ(files.bpe.vocabulary[' '], (std::pair<std::string, TokenId>(" ", 32)));
  ASSERT_EQ(files.bpe.merges.size(), 4u);
  EXPECT_EQ(files.bpe.merges[2], (std::pair<std::string, std::string>(" ", "the")));
  EXPECT_FALSE(files.bpe.ignore_merges);
  EXPECT_EQ(files.split_expression, kQwenExpression);
  EXPECT_TRUE(files.nfc);
  ASSERT_EQ(files.added_tokens.size(), chat_and_vision_tokens().size());
  EXPECT_EQ(files.added_tokens[1].content, "<|im_start|>");
  EXPECT_EQ(files.added_tokens[1].id, kFirstAdded + 1);
  EXPECT_TRUE(files.added_tokens[1].special);
}

TEST(TokenizerJson, MergesMayBePairs) {
  ordered_json json = small_tokenizer_json();
  json["model"]["merges"] = ordered_json::parse(R"([["t", "h"], ["\u0120", "a"]])");
  json["model"]["vocab"]
      ["\u0120"
       "a"] = 270;
  EXPECT_EQ(read(json).bpe.merges[1], (std::pair<std::string, std::string>(" ", "a")));
}

TEST(TokenizerJson, HarmlessDifferencesAreAccepted) {
  ordered_json json = small_tokenizer_json();
  json["truncation"] = {{"max_length", 5}};
  json["padding"] = {{"strategy", "BatchLongest"}};
  json["normalizer"] = nullptr;
  json["post_processor"] = nullptr;
  json["model"].erase("end_of_word_suffix");
  json["model"].erase("byte_fallback");
  json["model"]["dropout"] = 0;
  json["model"]["unk_token"] = "<|endoftext|>";
  json["model"]["ignore_merges"] = true;
  const ByteLevelBpeFiles files = read(json);
  EXPECT_FALSE(files.nfc);
  EXPECT_TRUE(files.bpe.ignore_merges);
}

TEST(TokenizerJson, WhatIsNotSupportedIsNamed) {
  EXPECT_THAT(message_with("/version", "2.0"), HasSubstr("'tokenizer.json.version' is \"2.0\""));
  EXPECT_THAT(message_with("/something", 1), HasSubstr("'tokenizer.json.something'"));
  EXPECT_THAT(message_with("/normalizer/type", "NFKC"), HasSubstr("'normalizer.type' is \"NFKC\""));
  EXPECT_THAT(message_with("/pre_tokenizer/type", "Metaspace"),
              HasSubstr("'pre_tokenizer.type' is \"Metaspace\""));
  EXPECT_THAT(message_with("/pre_tokenizer", nullptr), HasSubstr("'pre_tokenizer'"));
  EXPECT_THAT(message_with("/pre_tokenizer/pretokenizers", ordered_json::array()),
              HasSubstr("pretokenizers"));
  const std::string split = "/pre_tokenizer/pretokenizers/0/";
  EXPECT_THAT(message_with(split + "behavior", "Removed"), HasSubstr("behavior"));
  EXPECT_THAT(message_with(split + "invert", true), HasSubstr("invert"));
  EXPECT_THAT(message_with(split + "pattern", {{"String", " "}}), HasSubstr("pattern.String"));
  EXPECT_THAT(message_with(split + "pattern/Regex", 3), HasSubstr("no 'Regex'"));
  const std::string bytes = "/pre_tokenizer/pretokenizers/1/";
  EXPECT_THAT(message_with(bytes + "add_prefix_space", true), HasSubstr("add_prefix_space"));
  EXPECT_THAT(message_with(bytes + "use_regex", true), HasSubstr("use_regex"));
  EXPECT_THAT(message_with(bytes + "use_regex", nullptr), HasSubstr("use_regex"));
  EXPECT_THAT(message_with("/post_processor/type", "TemplateProcessing"),
              HasSubstr("'post_processor.type'"));
  EXPECT_THAT(message_with("/decoder/type", "Metaspace"), HasSubstr("'decoder.type'"));
  EXPECT_THAT(message_with("/model/type", "Unigram"), HasSubstr("'model.type' is \"Unigram\""));
  EXPECT_THAT(message_with("/model/dropout", 0.1), HasSubstr("'model.dropout' is 0.1"));
  EXPECT_THAT(message_with("/model/continuing_subword_prefix", "##"),
              HasSubstr("continuing_subword_prefix"));
  EXPECT_THAT(message_with("/model/end_of_word_suffix", "</w>"), HasSubstr("end_of_word_suffix"));
  EXPECT_THAT(message_with("/model/byte_fallback", true), HasSubstr("byte_fallback"));
  EXPECT_THAT(message_with("/model/fuse_unk", "yes"), HasSubstr("fuse_unk"));
  EXPECT_THAT(message_with("/model/novelty", 1), HasSubstr("'model.novelty'"));
}

TEST(TokenizerJson, BrokenVocabulariesAreNamed) {
  const auto entry = [](const ordered_json& id) {
    ordered_json json = small_tokenizer_json();
    json["model"]["vocab"]["zz"] = id;
    return expect_model_error([&] { read(json); });
  };
  for (const ordered_json& id :
       {ordered_json(-1), ordered_json(1.5), ordered_json("7"), ordered_json(nullptr),
        ordered_json(uint64_t{1} << 63), ordered_json(1 << 22)}) {
    EXPECT_THAT(entry(id), HasSubstr("'zz' has the id " + id.dump()));
  }
  EXPECT_THAT(entry(ordered_json::array({1})), HasSubstr("no object of tokens and ids"));
  EXPECT_THAT(entry(ordered_json::object()), HasSubstr("no object of tokens and ids"));
  for (const ordered_json& vocabulary :
       {ordered_json(nullptr), ordered_json(3), ordered_json::array({1, 2}),
        ordered_json::array({ordered_json::array({"a", -1.5})})}) {
    EXPECT_THAT(message_with("/model/vocab", vocabulary), HasSubstr("'model.vocab' is"));
  }
  EXPECT_THAT(message_with("/model/vocab/\u2581the", 300),
              HasSubstr("'\u2581the' is no spelling of bytes"));
}

TEST(TokenizerJson, AVocabularyMayHoldItsAddedTokens) {
  ordered_json json = small_tokenizer_json();
  const std::string token = "<\uff5cbegin\u2581of\uff5c>";  // no spelling of bytes
  json["model"]["vocab"][token] = 260;
  ordered_json entry = {{"id", 260}};
  entry.update(added_token_json(token));
  json["added_tokens"] = ordered_json::array({entry});
  EXPECT_EQ(read(json).bpe.vocabulary.size(), 260u);
}

TEST(TokenizerJson, BrokenMergesAreNamed) {
  using Json = ordered_json;
  for (const char* merge : {"ab", "a b c", "a  b", " a", "a ", ""}) {
    EXPECT_THAT(message_with("/model/merges/0", merge), HasSubstr("is not two tokens")) << merge;
  }
  for (const Json& merge : {Json::array({"a"}), Json::array({"a", "b", "c"}), Json::array({"a", 1}),
                            Json::array(), Json(1), Json::array({Json::array({"a", "b"})})}) {
    EXPECT_THAT(message_with("/model/merges/1", merge), HasSubstr("'model.merges' is")) << merge;
  }
  EXPECT_THAT(message_with("/model/merges", Json::object({{"a", "b c"}})),
              HasSubstr("'model.merges' is"));
  EXPECT_THAT(message_with("/model/merges/0", "\u2581 b"), HasSubstr("no spelling of bytes"));
}

TEST(TokenizerJson, BrokenAddedTokensAreNamed) {
  EXPECT_THAT(message_with("/added_tokens/0/lstrip", true), HasSubstr("lstrip"));
  EXPECT_THAT(message_with("/added_tokens/0/rstrip", true), HasSubstr("rstrip"));
  EXPECT_THAT(message_with("/added_tokens/0/single_word", true), HasSubstr("single_word"));
  EXPECT_THAT(message_with("/added_tokens/0/special", "yes"), HasSubstr("lacks 'special'"));
  EXPECT_THAT(message_with("/added_tokens/0/content", ""), HasSubstr("is empty"));
  EXPECT_THAT(message_with("/added_tokens/0/content", 5), HasSubstr("'content'"));
  EXPECT_THAT(message_with("/added_tokens/0/id", -5), HasSubstr("has the id -5"));
  EXPECT_THAT(message_with("/added_tokens/0/novelty", 1), HasSubstr("'added_tokens.novelty'"));
  EXPECT_THAT(message_with("/added_tokens/0", 5), HasSubstr("must be an object"));
  EXPECT_THAT(message_with("/added_tokens", 5), HasSubstr("must be an array"));
}

TEST(TokenizerJson, WhatIsNoSuchFileIsRefused) {
  const std::string whole = small_tokenizer_json().dump();
  for (const std::string& content :
       {std::string(), std::string("null"), std::string("[]"), std::string("{"), std::string("{}"),
        std::string("\xff\xfe"), whole.substr(0, whole.size() / 2), whole + "x",
        std::string(100'000, '[')}) {
    EXPECT_THAT(expect_model_error([&] { read(content); }), HasSubstr("tokenizer.json"))
        << content.substr(0, 40);
  }
}

// Nested in each part, and changed at random: read, or refused by name.
TEST(TokenizerJson, NoDamageIsMoreThanAnError) {
  const std::string whole = small_tokenizer_json().dump();
  const std::string deep(1'000'000, '[');
  for (const char* key : {"added_tokens", "normalizer", "model"}) {
    EXPECT_THAT(expect_model_error([&] { read(std::string("{\"") + key + "\":" + deep); }),
                HasSubstr("nested deeper than 128"));
  }
  for (const char* key : {"vocab", "merges"}) {
    EXPECT_THAT(
        expect_model_error([&] { read(std::string("{\"model\":{\"") + key + "\":" + deep); }),
        HasSubstr("tokenizer.json"));
  }
  core::Rng rng({3});
  constexpr std::string_view kBytes = "{}[]\",:\\0a \xff\n-e";
  int refused = 0;
  for (int round = 0; round < 600; ++round) {
    std::string text = whole;
    for (int64_t change = rng.integer(1, 4); change > 0; --change) {
      const auto at = static_cast<size_t>(rng.integer(0, static_cast<int64_t>(text.size()) - 1));
      const char byte = kBytes[static_cast<size_t>(rng.integer(0, kBytes.size() - 1))];
      rng.integer(0, 1) == 0 ? text[at] = byte : text.insert(at, 1, byte)[at];
    }
    try {
      read(text);
    } catch (const core::Error& error) {
      EXPECT_EQ(error.kind(), core::ErrorKind::kModel);
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
}

TEST(TokenizerJson, ASecondVocabularyOrListOfMergesIsRefused) {
  std::string content = small_tokenizer_json().dump();
  content.insert(content.rfind("\"merges\""), "\"merges\":[\"a b\"],");
  EXPECT_THAT(expect_model_error([&] { read(content); }), HasSubstr("twice"));
  content = small_tokenizer_json().dump();
  content.insert(content.rfind("\"vocab\""), "\"vocab\":{\"a\":1},");
  EXPECT_THAT(expect_model_error([&] { read(content); }), HasSubstr("twice"));
}

TEST(TokenizerJson, TheFamilyIsSeenBeforeItIsChecked) {
  const auto is_byte_level = [](const ordered_json& json) {
    return is_byte_level_bpe(parse_tokenizer_json(json.dump(), "test"));
  };
  ordered_json json = small_tokenizer_json();
  EXPECT_TRUE(is_byte_level(json));
  json["model"]["dropout"] = 0.5;
  EXPECT_TRUE(is_byte_level(json));
  json["pre_tokenizer"] = {{"type", "Metaspace"}};
  EXPECT_FALSE(is_byte_level(json));
  json = small_tokenizer_json();
  json["model"]["type"] = "Unigram";
  EXPECT_FALSE(is_byte_level(json));
  EXPECT_FALSE(is_byte_level(ordered_json::object()));
  EXPECT_FALSE(is_byte_level(ordered_json::array()));
}

}  // namespace
}  // namespace streamo::text
