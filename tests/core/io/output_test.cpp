// Where commands may write. Truth: what a user had there, byte for byte.
#include "core/io/output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/io/file.h"
#include "core/io/scratch_folder.h"
#include "streamo/core/error.h"

namespace streamo::core {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class OutputTest : public testing::Test {
 protected:
  fs::path write(const fs::path& name, const std::string& text) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }
  // Why the file may not be written; "" when it may.
  static std::string refusal(const fs::path& path, const std::vector<fs::path>& inputs = {}) {
    try {
      output_file(path, inputs, holds_mark("<ours>"));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return error.what();
    }
    return "";
  }
  static std::string folder_refusal(const fs::path& path,
                                    const std::vector<fs::path>& inputs = {}) {
    try {
      output_directory(path, inputs);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return error.what();
    }
    return "";
  }
  static void fill(const fs::path& folder) { write_file_atomic(folder / "a.json", "new"); }

  const ScratchFolder scratch_;
  const fs::path folder_ = scratch_.path();
};

TEST_F(OutputTest, FilesOfOthersAreRefused) {
  EXPECT_EQ(refusal(folder_ / "new"), "");
  EXPECT_EQ(refusal(folder_ / "new folder/new"), "");
  EXPECT_EQ(refusal(write("empty", "")), "");  // made to have the name
  EXPECT_EQ(refusal(write("ours", "before <ours> behind")), "");
  EXPECT_THAT(refusal(write("theirs", "text")), HasSubstr("has not written"));
  EXPECT_THAT(refusal(folder_), HasSubstr("this is a folder"));
  EXPECT_THAT(refusal("/dev/null"), HasSubstr("no ordinary file"));
  fs::create_symlink("theirs", folder_ / "link");
  EXPECT_THAT(refusal(folder_ / "link"), HasSubstr("has not written"));
}

TEST_F(OutputTest, InputsAreRefusedByWhateverName) {
  const fs::path input = write("in put.json", "<ours>");
  fs::create_symlink(input, folder_ / "soft");
  fs::create_hard_link(input, folder_ / "hard");
  for (const fs::path& name :
       {input, folder_ / "./x/../in put.json", folder_ / "soft", folder_ / "hard"}) {
    EXPECT_THAT(refusal(name, {"", input}), HasSubstr("an input")) << name;
  }
  EXPECT_EQ(refusal(folder_ / "other.json", {input}), "");
}

TEST_F(OutputTest, ALinkStaysAndItsFileIsWritten) {
  write("ours", "<ours>");
  fs::create_symlink("ours", folder_ / "link");
  write_file_atomic(output_file(folder_ / "link", {}, holds_mark("<ours>")), "new");
  EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
  EXPECT_EQ(read_file(folder_ / "ours"), "new");
}

TEST_F(OutputTest, FoldersOfOthersAreRefused) {
  EXPECT_EQ(folder_refusal(folder_ / "new"), "");
  fs::create_directory(folder_ / "empty");
  EXPECT_EQ(folder_refusal(folder_ / "empty/"), "");
  EXPECT_THAT(folder_refusal(write("full/notes.txt", "x").parent_path()), HasSubstr("not written"));
  EXPECT_THAT(folder_refusal(write("file", "x")), HasSubstr("no folder"));
  fs::create_directory_symlink("full", folder_ / "link");
  EXPECT_THAT(folder_refusal(folder_ / "link"), HasSubstr("not written"));
  write("named/.streamo-files", "but not by us\n");
  EXPECT_THAT(folder_refusal(folder_ / "named"), HasSubstr("not written"));
}

TEST_F(OutputTest, AFolderIsApartFromItsInput) {
  write_own_directory(folder_ / "run/checkpoint-6", fill);
  write_own_directory(folder_ / "run-2", fill);
  const fs::path input = folder_ / "run/checkpoint-6";
  EXPECT_THAT(folder_refusal(input, {input}), HasSubstr("this is the input"));
  EXPECT_THAT(folder_refusal(folder_ / "run/./checkpoint-6/", {input}), HasSubstr("the input"));
  EXPECT_THAT(folder_refusal(input / "out", {input}), HasSubstr("lies in the input"));
  EXPECT_THAT(folder_refusal(folder_ / "run", {input}), HasSubstr("the input lies in it"));
  fs::create_directory_symlink(input, folder_ / "link");
  EXPECT_THAT(folder_refusal(folder_ / "link", {input}), HasSubstr("this is the input"));
  EXPECT_THAT(folder_refusal(folder_ / "link/out", {input}), HasSubstr("lies in the input"));
  EXPECT_EQ(folder_refusal(folder_ / "run/final", {input}), "");
  EXPECT_EQ(folder_refusal(folder_ / "run-2", {folder_ / "run"}), "");  // no part of that name
}

TEST_F(OutputTest, OurFolderIsWrittenAnewAndKeepsWhatIsTheUsers) {
  const fs::path out = folder_ / "out";
  write_own_directory(out, [](const fs::path& folder) {
    fill(folder);
    write_file_atomic(folder / "old.json", "gone with the next");
  });
  write("out/notes.txt", "mine");
  write("out/logs/deep/1.txt", "mine too");
  fs::create_symlink("notes.txt", out / "link");
  write_own_directory(out / "", fill);
  EXPECT_EQ(read_file(out / "a.json"), "new");
  EXPECT_FALSE(fs::exists(out / "old.json"));
  EXPECT_EQ(read_file(out / "notes.txt"), "mine");
  EXPECT_EQ(read_file(out / "logs/deep/1.txt"), "mine too");
  EXPECT_TRUE(fs::is_symlink(out / "link"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1) << "no temporary is left";
}

TEST_F(OutputTest, AUsersFileOfANewNameIsNotWrittenOver) {
  const fs::path out = folder_ / "out";
  write_own_directory(out, fill);
  write("out/b.json", "mine");
  const auto fill_both = [](const fs::path& folder) {
    fill(folder);
    write_file_atomic(folder / "b.json", "ours");
  };
  EXPECT_THROW(write_own_directory(out, fill_both), Error);
  EXPECT_EQ(read_file(out / "b.json"), "mine");
  EXPECT_EQ(read_file(out / "a.json"), "new");
}

}  // namespace
}  // namespace streamo::core
