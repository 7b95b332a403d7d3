// Commands whose terminal, pipe or descriptors are gone: a log line ends nothing, a result that got
// nowhere is an error.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <set>

#include "support/small_run.h"

namespace streamo {
namespace {

namespace fs = std::filesystem;
using test::CommandResult;
using test::SmallRun;
using testing::HasSubstr;
using testing::IsEmpty;

// A pipe that nobody reads, as descriptor 9 of the commands that are started.
class PipeWithoutReader {
 public:
  PipeWithoutReader() {
    std::array<int, 2> ends = {};
    if (::pipe(ends.data()) != 0 || ::dup2(ends[1], 9) != 9) ADD_FAILURE() << "no pipe";
    ::close(ends[0]);
    ::close(ends[1]);
  }
  ~PipeWithoutReader() { ::close(9); }
  PipeWithoutReader(const PipeWithoutReader&) = delete;
  PipeWithoutReader& operator=(const PipeWithoutReader&) = delete;
};

TEST(LostTerminal, EndsNoTraining) {
  const PipeWithoutReader pipe;
  const SmallRun run("lost");
  std::set<std::string> files;
  for (const char* redirected :
       {"", "2>/dev/full", ">/dev/full 2>&1", "2>&9", ">&9 2>&9", "2>&-", "<&- >&- 2>&-"}) {
    const CommandResult result = run.train(redirected);
    EXPECT_EQ(result.exit_code, 0) << redirected << result.err;
    EXPECT_TRUE(fs::exists(run / "run/final/config.json")) << redirected;
    // Nothing of what was to be shown is in a file.
    EXPECT_EQ(run.read_json_lines("run/metrics.jsonl").size(), 2U) << redirected;
    EXPECT_THAT(run.read("run/.lock"), IsEmpty()) << redirected;
    std::set<std::string> made;
    for (const auto& entry : fs::directory_iterator(run / "run"))
      made.insert(entry.path().filename().string());
    if (files.empty()) files = made;
    EXPECT_EQ(made, files) << redirected;
    fs::remove_all(run / "run");
  }
}

TEST(LostTerminal, ProgressAndWarningsEndNoCommand) {
  const SmallRun run("progress");
  for (const char* command :
       {"check raw.json", "convert to-stream --input raw.json --output o.json",
        "synthesize --out clips --clips 2", "inspect raw.json"}) {
    const CommandResult result = run.streamo(std::string(command) + " 2>/dev/full");
    EXPECT_EQ(result.exit_code, 0) << command << result.err;
  }
}

class Results : public testing::TestWithParam<const char*> {};

TEST_P(Results, ThatGetNowhereAreAnError) {
  static const SmallRun run("results");
  const std::string command = GetParam();
  ASSERT_EQ(run.streamo(command + " >result").exit_code, 0);
  ASSERT_GT(fs::file_size(run / "result"), 0U);
  const CommandResult full = run.streamo(command + " >/dev/full");
  EXPECT_EQ(full.exit_code, 14) << full.err;
  EXPECT_THAT(full.err, HasSubstr("No space left on device"));
  EXPECT_THAT(full.err, HasSubstr("standard output"));
  const CommandResult closed = run.streamo(command + " >&-");
  EXPECT_EQ(closed.exit_code, 14) << closed.err;
  // As `head` leaves it: no error, and no message of one.
  const PipeWithoutReader pipe;
  const CommandResult piped = run.streamo(command + " >&9");
  EXPECT_EQ(piped.exit_code, 141) << piped.err;
  EXPECT_EQ(piped.err.find("error"), std::string::npos) << piped.err;
}

INSTANTIATE_TEST_SUITE_P(OfEachCommand, Results,
                         testing::Values("config", "config --schema", "doctor", "check raw.json",
                                         "check raw.json --json", "inspect raw.json", "--help",
                                         "watch --help", "plan config.json --gpus 1"));

TEST(Escapes, AreWrittenOutWhereverTextComesFrom) {
  const SmallRun run("escapes");
  nlohmann::json records = test::example_record_of_each_video();
  records[0]["video_path"] =
      "\x1b]0;title\x07\xC2\x9B"
      "2J\r\x7f\xE2\x80\xAE"
      "all is fine.mp4";
  run.write_json("esc.json", records);
  const std::string commands[] = {"check esc.json data.max_bad_fraction=1",
                                  "check esc.json --json data.max_bad_fraction=1",
                                  "convert to-stream --input esc.json --output out.json",
                                  "inspect esc.json",
                                  "train config.json data.train=esc.json data.max_bad_fraction=0.0",
                                  "train config.json data.train=esc.json checkpoint.dir=\x1b[2J",
                                  "frames '\x1b[2J.mp4'",
                                  "train '\x1b[2J.json'",
                                  "config '\x1b[2J'",
                                  "'\x1b[2J'"};
  for (const std::string& command : commands) {
    const CommandResult result = run.streamo(command);
    const std::string shown = result.out + result.err;
    EXPECT_THAT(shown, Not(IsEmpty())) << command;
    for (const char* control : {"\x1b", "\x07", "\r", "\x7f", "\xC2\x9B", "\xE2\x80\xAE"})
      EXPECT_THAT(shown, Not(HasSubstr(control))) << command;
    EXPECT_NE(result.exit_code, 70) << command << result.err;
  }
}

}  // namespace
}  // namespace streamo
