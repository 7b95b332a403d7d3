// Truth: the meaning of each number in errno(3), and failures injected into real calls.
#include "core/io/system_error.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/io/file.h"

namespace streamo::core {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

TEST(SystemError, TellsTheMachinesTroubleFromTheFiles) {
  for (const int error : {EMFILE, ENFILE, ENOMEM, EAGAIN, ENOSPC, EDQUOT, EFBIG, EROFS})
    EXPECT_EQ(classify_errno(error), Trouble::kMachine) << error;
  for (const int error : {EIO, ESTALE, ETIMEDOUT, EHOSTDOWN})
    EXPECT_EQ(classify_errno(error), Trouble::kMayPass) << error;
  for (const int error : {0, ENOENT, EACCES, EISDIR, ELOOP, ENAMETOOLONG, EINVAL})
    EXPECT_EQ(classify_errno(error), Trouble::kBroken) << error;
  EXPECT_NO_THROW(throw_if_of_the_machine(ENOENT, "cannot open", "a.mp4"));
  EXPECT_THROW(throw_if_of_the_machine(EIO, "cannot open", "a.mp4"), Error);
}

TEST(SystemError, HasThePlaceAndWhatToDo) {
  const Error files = system_error(EMFILE, "cannot open", "a.mp4", ErrorKind::kData);
  EXPECT_EQ(files.kind(), ErrorKind::kMemory);
  EXPECT_THAT(files.what(),
              AllOf(HasSubstr("a.mp4"), HasSubstr("Too many open files"), HasSubstr("ulimit -n")));
  EXPECT_EQ(system_error(ESTALE, "", "", ErrorKind::kData).kind(), ErrorKind::kDisk);
  EXPECT_EQ(system_error(ENOENT, "", "", ErrorKind::kData).kind(), ErrorKind::kData);
}

// Of five tries the first three fail as told.
int tries_until_done(int error, Retry retry, int& result) {
  int tries = 0;
  result = system_call(
      "test",
      [&] {
        errno = error;
        return ++tries > 3 ? 7 : -1;
      },
      retry);
  return tries;
}

TEST(SystemCall, IsMadeAgainWhereThatHelps) {
  int result = 0;
  for (const int error : {EINTR, EMFILE, EAGAIN, EIO, ESTALE}) {
    EXPECT_EQ(tries_until_done(error, {}, result), 4) << error;
    EXPECT_EQ(result, 7) << error;
  }
  for (const int error : {ENOENT, ENOSPC, EFBIG}) {
    EXPECT_EQ(tries_until_done(error, {}, result), 1) << error;
    EXPECT_EQ(result, -1);
    EXPECT_EQ(errno, error);
  }
}

TEST(SystemCall, IsGivenUpAfterAWhile) {
  int tries = 0;
  const int result = system_call("test",
                                 [&] {
                                   ++tries;
                                   errno = ESTALE;
                                   return -1;
                                 },
                                 {.machine = milliseconds(0), .storage = milliseconds(6)});
  EXPECT_EQ(result, -1);
  EXPECT_EQ(errno, ESTALE);
  EXPECT_EQ(tries, 4);  // after 0, 1, 2, 4 ms
}

// The variable is read once a process, so the child must be a fresh one.
TEST(SystemCall, FailsWhereATestSaysSo) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  const std::string path = testing::TempDir() + "/system_call-" + std::to_string(::getpid());
  EXPECT_EXIT(
      {
        write_file_atomic(path, "content");
        ::setenv("STREAMO_FAULT", "read.bytes:1:estale", 1);
        std::exit(read_file(path) == "content" ? 3 : 4);  // the second try has it
      },
      testing::ExitedWithCode(3), "");
  EXPECT_EXIT(
      {
        ::setenv("STREAMO_FAULT", "read.open:1+:emfile", 1);
        try {
          read_file("any");
        } catch (const Error& error) {
          std::fputs(error.what(), stderr);
          std::exit(error.exit_code());
        }
      },
      testing::ExitedWithCode(15), "Too many open files.*ulimit -n");
  ::unlink(path.c_str());
}

}  // namespace
}  // namespace streamo::core
