// `streamo frames` on a picture file and a video. Truth: the sizes of Qwen2.5-VL's rule, the golden
// file's own pixels, and the number burnt into each picture of a clip.
#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "support/numbered_clip.h"
#include "support/run_command.h"
#include "video/image/picture.h"

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

TEST(FramesCommand, WritesASheetOfAVideo) {
  const fs::path folder = fs::path(testing::TempDir()) / fmt::format("sheet-{}", ::getpid());
  fs::create_directories(folder);
  const fs::path clip = test::make_clip(folder / "clip.mp4", {.frames = 80, .size = {120, 160}});
  const fs::path sheet = folder / "sheet.png";
  const test::CommandResult run =
      frames(test::shell_quote(clip.string()) + " --sheet " + test::shell_quote(sheet.string()));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto page = video::read_picture(sheet, std::nullopt);
  ASSERT_TRUE(page) << page.reason();
  // Four samples of 160x120 with their labels and margins of 6: two columns, two rows.
  ASSERT_EQ(page->size, (video::FrameSize{2 * (120 + 14 + 18), 2 * 172}));
  for (const int k : {0, 1, 2, 3}) {
    std::vector<uint8_t> picture;
    for (int y = 0; y < 120; ++y) {
      const auto from = page->rgb.begin() + ((k / 2 * 152 + 6 + y) * 344 + k % 2 * 172 + 6) * 3;
      picture.insert(picture.end(), from, from + 160 * 3);
    }
    EXPECT_EQ(test::read_number({120, 160}, picture), 25 * k);
  }
  fs::remove_all(folder);
}

TEST(FramesCommand, SaysWhereASheetCannotBeWritten) {
  const test::CommandResult run =
      frames(test::shell_quote(STREAMO_SOURCE_DIR "/dataset/example/videos/000000.mp4") +
             " --sheet /proc/none/sheet.png");
  EXPECT_EQ(run.exit_code, 14) << run.err;
  EXPECT_NE(run.err.find("/proc/none/sheet.png"), std::string::npos) << run.err;
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
