// `streamo frames` on a picture file. Truth: the sizes of Qwen2.5-VL's rule, and the golden file's
// own pixels.
#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "support/run_command.h"

namespace streamo {
namespace {
namespace fs = std::filesystem;

test::CommandResult frames(const std::string& arguments) {
  return test::run_command(
      fmt::format("{} frames {}", test::shell_quote(STREAMO_BINARY), arguments));
}

TEST(FramesCommand, ShowsAPictureFileAsTheModelSeesIt) {
  const std::string path =
      test::shell_quote(STREAMO_SOURCE_DIR "/tests/golden/pictures/halved-colour.jpg");
  const fs::path out = fs::path(testing::TempDir()) / fmt::format("streamo-frames-{}", ::getpid());
  const test::CommandResult run =
      frames(path + " --json --min-pixels 3136 --out " + test::shell_quote(out.string()));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto shown = nlohmann::json::parse(run.out);
  EXPECT_EQ(shown["width"], 84);  // of 43x29
  EXPECT_EQ(shown["height"], 56);
  ASSERT_EQ(shown["frames"].size(), 1U);
  EXPECT_EQ(shown["frames"][0]["index"], 0);
  EXPECT_TRUE(fs::exists(out / "000000.png"));
  fs::remove_all(out);
}

TEST(FramesCommand, NamesABadPictureFile) {
  const fs::path path = fs::path(testing::TempDir()) / fmt::format("cut-{}.jpg", ::getpid());
  std::ofstream(path, std::ios::binary) << "\xFF\xD8\xFF\xE0";
  const test::CommandResult run = frames(test::shell_quote(path.string()));
  EXPECT_EQ(run.exit_code, 11);
  EXPECT_NE(run.err.find(path.string() + ": not a readable JPEG picture"), std::string::npos);
  fs::remove(path);
}

}  // namespace
}  // namespace streamo
