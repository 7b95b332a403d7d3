// Which of its files a tokenizer is read from.
#include <gmock/gmock.h>

#include "text/byte_level_fixture.h"
#include "text/tokenizer_fixture.h"

namespace streamo::text {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

std::string error_message(const fs::path& folder) {
  return expect_model_error([&] { (void)load_tokenizer(folder); });
}

// " the" is one token in tokenizer.json; here it is none.
void write_other_legacy(const fs::path& folder) {
  write_legacy(folder);
  write_text(folder / "merges.txt", "t h\n");
}

TEST(LoadTokenizer, TokenizerJsonGoesFirst) {
  const ScratchFolder folder;
  write_other_legacy(folder.path());
  EXPECT_THAT(load_tokenizer(folder.path())->encode("the"), ElementsAre(kTh, 'e'));
  write_published(folder.path());
  EXPECT_THAT(load_tokenizer(folder.path())->encode("the"), ElementsAre(kThe));
  fs::copy_file(tokenizer_directory() / "tokenizer.model", folder / "tokenizer.model");
  EXPECT_THAT(load_tokenizer(folder.path())->encode("the"), ElementsAre(kThe));
}

TEST(LoadTokenizer, ASentencePieceModelGoesBeforeItsConversion) {
  const ScratchFolder folder;
  fs::copy_file(tokenizer_directory() / "tokenizer.model", folder / "tokenizer.model");
  nlohmann::ordered_json json = small_tokenizer_json();
  json["pre_tokenizer"] = {{"type", "Metaspace"}};
  write_text(folder / "tokenizer.json", json.dump());
  EXPECT_EQ(load_tokenizer(folder.path())->encode("the ball"),
            small_tokenizer().encode("the ball"));
  fs::remove(folder / "tokenizer.model");
  EXPECT_THAT(error_message(folder.path()), HasSubstr("Metaspace"));
}

TEST(LoadTokenizer, TwoFilesThatContradictEachOtherAreRefused) {
  const ScratchFolder folder;
  write_published(folder.path());
  EXPECT_NO_THROW(load_tokenizer(folder.path()));
  nlohmann::ordered_json config = small_tokenizer_config();
  config["added_tokens_decoder"]["300"] = added_token_json("</Silence>");
  write_text(folder / "tokenizer_config.json", config.dump());
  EXPECT_THAT(error_message(folder.path()),
              HasSubstr("'</Silence>' is the added token 300 there, but none in tokenizer.json"));
  config = small_tokenizer_config();
  config["added_tokens_decoder"].erase("261");
  config["added_tokens_decoder"]["262"] = added_token_json("<|im_start|>");
  write_text(folder / "tokenizer_config.json", config.dump());
  EXPECT_THAT(error_message(folder.path()), HasSubstr("262 there, but 261 in tokenizer.json"));
  write_text(folder / "tokenizer_config.json", "[]");
  EXPECT_THAT(error_message(folder.path()), HasSubstr("tokenizer_config.json"));
}

TEST(LoadTokenizer, MissingOrBrokenFilesAreNamed) {
  EXPECT_THAT(error_message("/nowhere/model"), HasSubstr("/nowhere/model"));
  const ScratchFolder folder;
  EXPECT_THAT(error_message(folder.path()), HasSubstr("no tokenizer.json"));
  write_text(folder / "tokenizer.json", "{}");
  EXPECT_THAT(error_message(folder.path()), HasSubstr("tokenizer.json"));
  write_text(folder / "tokenizer.model", "not a model");
  EXPECT_THAT(error_message(folder.path()), HasSubstr("tokenizer.model"));
  write_text(folder / "tokenizer.json", "{\"model\":");
  EXPECT_THAT(error_message(folder.path()), HasSubstr("not readable JSON"));
}

}  // namespace
}  // namespace streamo::text
