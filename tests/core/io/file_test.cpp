#include "core/io/file.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "streamo/core/error.h"

namespace streamo::core {
namespace {

namespace fs = std::filesystem;

class FileTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(dir_); }
  void TearDown() override { fs::remove_all(dir_); }
  fs::path dir_ =
      fs::path(::testing::TempDir()) / ("streamo_file_test-" + std::to_string(::getpid()));
};

TEST_F(FileTest, WritesAndReadsBackWhatItWrote) {
  const std::string content = std::string("a\0b", 3) + std::string(3 << 20, 'x');
  write_file_atomic(dir_ / "sub" / "f", content);
  EXPECT_EQ(read_file(dir_ / "sub" / "f"), content);
  EXPECT_EQ(hash_file(dir_ / "sub" / "f"), hash_bytes(content));
  EXPECT_NE(hash_bytes("a"), hash_bytes("b"));
}

TEST_F(FileTest, AnUncommittedWriterLeavesNothing) {
  write_file_atomic(dir_ / "f", "old");
  {
    AtomicWriter writer(dir_ / "f");
    writer.write(std::string(2 << 20, 'n'));
  }
  EXPECT_EQ(read_file(dir_ / "f"), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_), fs::directory_iterator()), 1);
}

TEST_F(FileTest, AFolderIsCompleteOrAbsent) {
  const auto failing = [](const fs::path& folder) {
    write_file_atomic(folder / "a", "1");
    throw Error(ErrorKind::kDisk, "no space");
  };
  EXPECT_THROW(write_directory_atomic(dir_ / "d", failing), Error);
  EXPECT_TRUE(fs::is_empty(dir_));
  write_directory_atomic(dir_ / "d",
                         [](const fs::path& folder) { write_file_atomic(folder / "a", "1"); });
  EXPECT_EQ(read_file(dir_ / "d" / "a"), "1");
}

// The system itself writes a part (1 MB and 1000 bytes) and then nothing more.
TEST_F(FileTest, AWriteThatTheSystemCutsShortLeavesTheOldFile) {
  write_file_atomic(dir_ / "f", "old");
  const pid_t child = ::fork();  // the limit is the process' own
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{(1 << 20) + 1000, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      write_file_atomic(dir_ / "f", std::string(3 << 20, 'n'));
      std::_Exit(0);
    } catch (const Error& error) {
      std::_Exit(error.exit_code());
    }
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), static_cast<int>(ErrorKind::kDisk));
  EXPECT_EQ(read_file(dir_ / "f"), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_), fs::directory_iterator()), 1);
}

TEST_F(FileTest, ErrorsNameThePath) {
  try {
    read_file(dir_ / "missing.json");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("missing.json"));
  }
  write_file_atomic(dir_ / "file", "x");
  EXPECT_THROW(write_file_atomic(dir_ / "file" / "below", "x"), Error);
}

TEST(FaultPoint, FailsTheChosenHitOnly) {
  // The variable is read once a process, so the child must be a fresh one.
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        ::setenv("STREAMO_FAULT", "file.rename:2:enospc", 1);
        const std::string path =
            ::testing::TempDir() + "/fault_point_test-" + std::to_string(::getpid());
        write_file_atomic(path, "first");
        try {
          write_file_atomic(path, "second");
        } catch (const Error& error) {
          std::exit(read_file(path) == "first" ? error.exit_code() : 1);
        }
        std::exit(0);
      },
      ::testing::ExitedWithCode(14), "");
}

}  // namespace
}  // namespace streamo::core
