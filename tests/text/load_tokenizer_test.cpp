// Which of its files a tokenizer is read from.
#include <gmock/gmock.h>

#include "text/byte_level_fixture.h"
#include "text/tokenizer_fixture.h"

namespace streamo::text {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

std::string message_of(const fs::path& folder) {
  return model_error_of([&] { (void)load_tokenizer(folder); });
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
  EXPECT_THAT(message_of(folder.path()), HasSubstr("Metaspace"));
}

TEST(LoadTokenizer, MissingOrBrokenFilesAreNamed) {
  EXPECT_THAT(message_of("/nowhere/model"), HasSubstr("/nowhere/model"));
  const ScratchFolder folder;
  EXPECT_THAT(message_of(folder.path()), HasSubstr("no tokenizer.json"));
  write_text(folder / "tokenizer.json", "{}");
  EXPECT_THAT(message_of(folder.path()), HasSubstr("tokenizer.json"));
  write_text(folder / "tokenizer.model", "not a model");
  EXPECT_THAT(message_of(folder.path()), HasSubstr("tokenizer.model"));
  write_text(folder / "tokenizer.json", "{\"model\":");
  EXPECT_THAT(message_of(folder.path()), HasSubstr("not readable JSON"));
}

}  // namespace
}  // namespace streamo::text
