// Truth: the file read back, after a limit of the system (RLIMIT_FSIZE) was reached in the middle
// of a record, and lifted again.
#include "core/io/append_log.h"

#include <gtest/gtest.h>

#include "core/io/file.h"
#include "core/io/scratch_folder.h"
#include "support/file_size_limit.h"

namespace streamo::core {
namespace {

TEST(AppendLog, GoesOnInTheFileThatIsThere) {
  const ScratchFolder folder;
  { AppendLog(folder.path() / "log").append("1\n"); }
  AppendLog log(folder.path() / "log");
  log.append("2\n");
  EXPECT_EQ(read_file(log.path()), "1\n2\n") << "at once";
  EXPECT_FALSE(log.is_behind());
}

TEST(AppendLog, HoldsWholeRecordsOnlyAndCatchesUpWhenThereIsRoom) {
  const ScratchFolder folder;
  AppendLog log(folder.path() / "log");
  log.append("first\n");
  testing::internal::CaptureStderr();
  {
    const test::FileSizeLimit limit(10);  // in the middle of the second
    for (const char* record : {"second\n", "third\n"}) {
      log.append(record);
      EXPECT_TRUE(log.is_behind());
      EXPECT_EQ(read_file(log.path()), "first\n");
    }
  }
  log.append("fourth\n");
  EXPECT_FALSE(log.is_behind());
  EXPECT_EQ(read_file(log.path()), "first\nsecond\nthird\nfourth\n");
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("written again"), std::string::npos) << said;
}

TEST(AppendLog, SaysAtTheEndWhatIsLost) {
  testing::internal::CaptureStderr();
  {
    AppendLog log("/nowhere/log");
    log.append("lost\n");
    log.append("lost, too\n");
  }
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(said.find("cannot be written"), said.rfind("cannot be written")) << "once: " << said;
  EXPECT_NE(said.find("No such file"), std::string::npos) << said;
  EXPECT_NE(said.find("are lost"), std::string::npos) << said;
}

}  // namespace
}  // namespace streamo::core
