// Whose a run folder is, and which changed settings make another run of it.
#include "run/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "config/run_config.h"
#include "core/io/scratch_folder.h"
#include "core/io/temporary.h"
#include "streamo/core/error.h"

namespace streamo::run {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using testing::ElementsAre;
using testing::IsEmpty;

int code_of_claiming(const fs::path& path) {
  try {
    const RunFolder folder(path, /*owner=*/true);
    return 0;
  } catch (const core::Error& error) {
    return error.exit_code();
  }
}

// By another process: a lock is a process' own.
int code_of_claiming_elsewhere(const fs::path& path) {
  const pid_t child = ::fork();
  if (child == 0) std::_Exit(code_of_claiming(path));
  int status = 0;
  ::waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}

class RunFolderTest : public testing::Test {
 protected:
  const core::ScratchFolder scratch_;
  const fs::path path_ = scratch_.path() / "runs/run";
};

TEST_F(RunFolderTest, IsHeldByOneProcessAtATime) {
  {
    const RunFolder folder(path_, /*owner=*/true);
    EXPECT_EQ(code_of_claiming_elsewhere(path_), static_cast<int>(core::ErrorKind::kConfig));
  }
  EXPECT_EQ(code_of_claiming_elsewhere(path_), 0);
}

TEST_F(RunFolderTest, ALockOfADeadProcessHoldsNothing) {
  const pid_t child = ::fork();
  if (child == 0) {
    const RunFolder folder(path_, /*owner=*/true);
    std::_Exit(fs::exists(path_ / ".lock") ? 0 : 1);  // without its destructor
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(code_of_claiming(path_), 0);
}

TEST_F(RunFolderTest, OnlyTheOwnerWritesAndTakesAwayWhatOthersLeft) {
  const RunFolder other(path_, /*owner=*/false);
  EXPECT_FALSE(fs::exists(path_));
  fs::create_directories(path_);
  const pid_t child = ::fork();
  if (child == 0) {
    const core::Temporary half_written(path_);
    fs::create_directory(half_written.path());
    std::_Exit(0);  // without its destructor
  }
  ::waitpid(child, nullptr, 0);
  std::ofstream(path_ / "notes.txt") << "the user's";
  const RunFolder owner(path_, /*owner=*/true);
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(path_)) names.push_back(entry.path().filename());
  EXPECT_THAT(names, testing::UnorderedElementsAre(".lock", "notes.txt"));
}

TEST_F(RunFolderTest, WhatCannotBeAFolderIsTheDisksFault) {
  std::ofstream(scratch_.path() / "file") << "x";
  EXPECT_EQ(code_of_claiming(scratch_.path() / "file"), static_cast<int>(core::ErrorKind::kDisk));
  EXPECT_EQ(code_of_claiming(scratch_.path() / "file/below"),
            static_cast<int>(core::ErrorKind::kDisk));
}

// ---- Settings ----------------------------------------------------------------------------------

TEST(RunSettings, AKeyThatIsNewerThanTheRunHadItsDefault) {
  config::RunConfig config;
  const Json now = config::make_schema(config).values();
  Json before = now;
  before["optim"].erase("eps");
  before.erase("loss");
  EXPECT_THAT(differences(before, now), IsEmpty());
  Json changed = now;
  changed["optim"]["eps"] = 0.5;
  EXPECT_THAT(differences(before, changed), ElementsAre("optim.eps: 1e-08 -> 0.5"));
}

}  // namespace
}  // namespace streamo::run
