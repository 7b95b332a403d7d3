// What core/io/file.h promises when the power is lost: the system calls of each function are
// recorded and replayed up to every one of them, with all that was not flushed missing, there, or
// there in another order. (A test that kills the process cannot see a missing fsync: the page cache
// lives on.)
#include "support/power_loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/io/file.h"
#include "core/io/scratch_folder.h"

namespace streamo::core {
namespace {

namespace fs = std::filesystem;
using test::FileTree;
using testing::Each;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

class PowerLoss : public testing::Test {
 protected:
  const fs::path& folder() const { return scratch_.path(); }

  void put(const fs::path& name, const std::string& content) const {
    fs::create_directories((folder() / name).parent_path());
    std::ofstream(folder() / name) << content;
  }

  // Of what is in the folder now and the work done on it; skips the test where nothing can be
  // traced.
  void lose_power_in(const std::function<void()>& work) {
    const FileTree before = test::read_tree(folder());
    const auto operations = test::SystemCallRecorder(folder()).record(work);
    if (!operations) GTEST_SKIP() << "processes cannot be traced here";
    const FileTree after = test::read_tree(folder());
    losses_ = test::power_losses(test::ModelDisk(before), *operations);
    EXPECT_TRUE(losses_.in_between.contains(before));
    EXPECT_TRUE(losses_.in_between.contains(after)) << "the model knows all that was done";
  }

  // What a path holds in each state: its content; a folder's files and their contents; "-".
  static std::set<std::string> seen(const std::set<FileTree>& states, const fs::path& path) {
    std::set<std::string> all;
    for (const FileTree& state : states) {
      const auto found = state.find(path);
      std::string text = found == state.end() ? "-" : found->second.value_or("");
      for (const auto& [name, content] : state) {
        const fs::path below = name.lexically_relative(path);
        if (found != state.end() && below != "." && *below.begin() != "..")
          text += "[" + below.string() + ":" + content.value_or("/") + "]";
      }
      all.insert(text);
    }
    return all;
  }
  std::set<std::string> at_any_moment(const fs::path& path) const {
    return seen(losses_.in_between, path);
  }
  std::set<std::string> at_the_end(const fs::path& path) const {
    return seen(losses_.at_the_end, path);
  }

 private:
  ScratchFolder scratch_;
  test::PowerLosses losses_;
};

TEST_F(PowerLoss, AFileIsTheOldOneOrTheNew) {
  put("file", "old");
  lose_power_in([&] { write_file_atomic(folder() / "file", "new"); });
  EXPECT_THAT(at_any_moment("file"), UnorderedElementsAre("old", "new"));
  EXPECT_THAT(at_the_end("file"), ElementsAre("new"));
}

TEST_F(PowerLoss, AFileInNewFoldersIsThereOnceItIsWritten) {
  lose_power_in([&] { write_file_atomic(folder() / "a/b/file", "new"); });
  EXPECT_THAT(at_any_moment("a/b/file"), UnorderedElementsAre("-", "new"));
  EXPECT_THAT(at_the_end("a/b/file"), ElementsAre("new"));
}

// Written by someone who flushes nothing, in two layers.
void fill(const fs::path& folder) {
  fs::create_directory(folder / "sub");
  std::ofstream(folder / "x") << "1";
  std::ofstream(folder / "sub/y") << "2";
}
constexpr const char* kFilled = "[sub:/][sub/y:2][x:1]";

TEST_F(PowerLoss, AFolderIsCompleteOrAbsent) {
  lose_power_in([&] { write_directory_atomic(folder() / "runs/d", fill); });
  EXPECT_THAT(at_any_moment("runs/d"), UnorderedElementsAre("-", kFilled));
  EXPECT_THAT(at_the_end("runs/d"), ElementsAre(kFilled));
}

TEST_F(PowerLoss, AFolderThatIsReplacedIsTheOldOneOrTheNew) {
  put("d/x", "old");
  put("d/sub/z", "older");
  lose_power_in([&] { write_directory_atomic(folder() / "d", fill); });
  EXPECT_THAT(at_any_moment("d"), UnorderedElementsAre("[sub:/][sub/z:older][x:old]", kFilled));
  EXPECT_THAT(at_the_end("d"), ElementsAre(kFilled));
}

TEST_F(PowerLoss, AFolderThatIsRemovedIsCompleteOrAbsent) {
  put("d/x", "1");
  put("d/y", "2");
  lose_power_in([&] { remove_directory_atomic(folder() / "d"); });
  EXPECT_THAT(at_any_moment("d"), UnorderedElementsAre("-", "[x:1][y:2]"));
  EXPECT_THAT(at_the_end("d"), ElementsAre("-"));
}

// That the model can find something: the same without any flush, and with flushes too late.
TEST_F(PowerLoss, WhatIsNotFlushedMayBeLostOrTorn) {
  put("file", "old");
  lose_power_in([&] {
    put(".file", "new");
    fs::rename(folder() / ".file", folder() / "file");
  });
  EXPECT_THAT(at_the_end("file"), UnorderedElementsAre("old", "", "new"));
}

TEST_F(PowerLoss, TwoRenamesMayComeInAnotherOrder) {
  put("a", "1");
  put("b", "2");
  lose_power_in([&] {
    fs::rename(folder() / "a", folder() / "c");
    fs::rename(folder() / "b", folder() / "d");
  });
  EXPECT_THAT(at_the_end("c"), UnorderedElementsAre("-", "1"));
  EXPECT_THAT(at_the_end("d"), UnorderedElementsAre("-", "2"));
}

}  // namespace
}  // namespace streamo::core
