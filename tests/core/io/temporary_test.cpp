// Truth: what stands in a folder before and after.
#include "core/io/temporary.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <regex>
#include <set>

#include "core/io/file.h"
#include "core/io/scratch_folder.h"
#include "streamo/core/error.h"

namespace streamo::core {
namespace {

namespace fs = std::filesystem;
using testing::IsEmpty;

class Temporaries : public testing::Test {
 protected:
  std::set<std::string> names() const {
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder()))
      found.insert(entry.path().filename().string());
    return found;
  }
  const fs::path& folder() const { return scratch_.path(); }
  void touch(const std::string& name) const { std::ofstream(folder() / name) << "x"; }

  const ScratchFolder scratch_;
};

TEST_F(Temporaries, AreRandomAndGoWithTheirObject) {
  {
    const Temporary first(folder()), second(folder());
    EXPECT_NE(first.path(), second.path());
    fs::create_directories(first.path() / "below");
    ::close(create_exclusively(second, folder() / "final"));
    EXPECT_EQ(names().size(), 2U);
  }
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(Temporaries, AreNeverOpenedThroughALink) {
  touch("precious");
  const Temporary temporary(folder());
  fs::create_symlink("precious", temporary.path());
  EXPECT_THROW(create_exclusively(temporary, folder() / "final"), Error);
  fs::remove(temporary.path());
  touch(temporary.path().filename().string());
  EXPECT_THROW(create_exclusively(temporary, folder() / "final"), Error);
  EXPECT_EQ(read_file(folder() / "precious"), "x");
}

TEST_F(Temporaries, LeftByAKilledProcessAreRemovedAndNothingElse) {
  const pid_t child = ::fork();
  if (child == 0) {
    const Temporary file(folder()), tree(folder());
    ::close(create_exclusively(file, folder() / "final"));
    fs::create_directories(tree.path() / "below");
    ::kill(::getpid(), SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
  ASSERT_EQ(names().size(), 2U);
  const std::string left = *names().begin();
  // The user's, however alike; of this process; of another machine, young and old.
  const std::string elsewhere =
      std::regex_replace(left, std::regex("tmp-[0-9a-f]{8}"), "tmp-00000000");
  for (const std::string& name : {std::string(".notes.tmp-2024"), std::string(".streamo-tmp-notes"),
                                  left + ".bak", elsewhere})
    touch(name);
  const Temporary own(folder());
  ::close(create_exclusively(own, folder() / "final"));
  remove_temporaries(folder());
  EXPECT_FALSE(fs::exists(folder() / left));
  for (const std::string& name : {std::string(".notes.tmp-2024"), std::string(".streamo-tmp-notes"),
                                  left + ".bak", elsewhere, own.path().filename().string()})
    EXPECT_TRUE(fs::exists(folder() / name)) << name;
  fs::last_write_time(folder() / elsewhere,
                      fs::file_time_type::clock::now() - std::chrono::hours(2));
  remove_temporaries(folder());
  EXPECT_FALSE(fs::exists(folder() / elsewhere));
}

TEST_F(Temporaries, OfThisProcessCanGoAtOnce) {
  const pid_t child = ::fork();
  if (child == 0) {
    const Temporary tree(folder());
    fs::create_directories(tree.path() / "below");
    remove_own_temporaries();
    std::_Exit(fs::exists(tree.path()) ? 1 : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace streamo::core
