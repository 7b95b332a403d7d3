// What the machine does to a command: limits, full disks, missing folders, names in any encoding.
// It ends with the right code, the place and what to do, or goes on; never with 70, which is for
// our bugs, and never by taking a sound sample for a bad one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "support/small_run.h"

namespace streamo {
namespace {

namespace fs = std::filesystem;
using test::CommandResult;
using test::shell_quote;
using test::SmallRun;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

const std::string kStreamo = shell_quote(STREAMO_BINARY);

TEST(Environment, ALimitOfOpenFilesIsTheMachines) {
  const SmallRun run("files");
  // With fewer workers than asked for, or not at all; but no sound sample is left out.
  for (const int limit : {6, 12, 24, 64}) {
    const CommandResult result = run.train("data.num_workers=64 checkpoint.dir=run",
                                           "ulimit -n " + std::to_string(limit) + ";");
    EXPECT_THAT(result.exit_code, AnyOf(0, 14, 15)) << limit << result.err;
    if (result.exit_code != 0) EXPECT_THAT(result.err, HasSubstr("ulimit -n")) << limit;
    EXPECT_FALSE(fs::exists(run / "run/skipped.jsonl")) << limit << result.err;
    fs::remove_all(run / "run");
  }
}

struct FailedCall {
  const char* fault;
  int exit_code;
  const char* hint;
};

TEST(Environment, CallsThatFailForGoodEndARunAndTakeNoSample) {
  const SmallRun run("calls");
  for (const FailedCall& call :
       std::vector<FailedCall>{{"read.open:4+:emfile", 15, "ulimit -n"},
                               {"read.open:4+:enfile", 15, "files open"},
                               {"read.bytes:9+:enomem", 15, "memory"},
                               {"video.open:1+:emfile", 15, "ulimit -n"},
                               {"video.open:3+:enomem", 15, "memory"},
                               {"file.create:1+:emfile", 15, "ulimit -n"},
                               {"bytes.write:1+:enospc", 14, "free some"},
                               {"bytes.write:1+:edquot", 14, "quota"},
                               {"bytes.write:1+:efbig", 14, "ulimit -f"}}) {
    const CommandResult result = run.train("", std::string("STREAMO_FAULT=") + call.fault);
    EXPECT_EQ(result.exit_code, call.exit_code) << call.fault << result.err;
    EXPECT_THAT(result.err, HasSubstr(call.hint)) << call.fault;
    EXPECT_FALSE(fs::exists(run / "run/skipped.jsonl")) << call.fault;
    fs::remove_all(run / "run");
  }
}

TEST(Environment, AProcessThatDecodesNeedsWhatTheMachineHas) {
  const SmallRun run("decoder");
  for (const char* call : {"decoder.start:1+:emfile", "decoder.memory:1+:enfile"}) {
    const CommandResult result =
        run.train("data.decoder=process", std::string("STREAMO_FAULT=") + call);
    EXPECT_EQ(result.exit_code, 15) << call << result.err;
    EXPECT_THAT(result.err, HasSubstr("cannot start a process that decodes")) << call;
    EXPECT_FALSE(fs::exists(run / "run/skipped.jsonl")) << call;
  }
}

TEST(Environment, CallsThatFailForAMomentAreMadeAgain) {
  const SmallRun run("again");
  for (const char* fault :
       {"read.open:4:emfile", "read.bytes:9:eio", "read.bytes:9:estale", "read.open:6:etimedout",
        "video.open:1:emfile", "video.open:2:estale", "video.read:3:eio", "file.create:2:enfile"}) {
    const CommandResult result = run.train("", std::string("STREAMO_FAULT=") + fault);
    EXPECT_EQ(result.exit_code, 0) << fault << result.err;
    EXPECT_FALSE(fs::exists(run / "run/skipped.jsonl")) << fault << result.err;
    fs::remove_all(run / "run");
  }
}

TEST(Environment, ALimitOfAFilesSizeIsAFullDisk) {
  const SmallRun run("fsize");
  // In blocks of 512 or 1024 bytes: the tokenizer fits, the weights do not.
  const CommandResult result = run.train("", "ulimit -f 200;");
  EXPECT_EQ(result.exit_code, 14) << result.err;
  EXPECT_THAT(result.err, HasSubstr("ulimit -f"));
}

TEST(Environment, TmpdirThatIsNoFolderIsNamed) {
  const SmallRun run("tmp");
  run.write("file", "");
  for (const char* place : {"/nowhere", "file", "/proc"}) {
    for (const char* command : {"check config.json", "plan config.json"}) {
      const CommandResult result =
          run.run(std::string("TMPDIR=") + place + " " + kStreamo + " " + command);
      EXPECT_EQ(result.exit_code, 14) << place << result.err;
      EXPECT_THAT(result.err, HasSubstr("set TMPDIR")) << place;
    }
  }
  EXPECT_EQ(run.run("TMPDIR= " + kStreamo + " check config.json").exit_code, 0) << "as unset";
}

TEST(Environment, NamesInAnyEncodingWork) {
  const SmallRun run("names");
  for (const std::string name : {"caf\xE9", "\xFF\xFE",
                                 "\x9B"
                                 "2J",
                                 "a\nb", "\xED\xA0\x80"}) {
    const std::string folder = shell_quote(name);
    fs::remove_all(run / name);
    ASSERT_TRUE(fs::create_directory(run / name));
    fs::copy_file(run / "raw.json", run / name / "raw.json");
    const std::string data = shell_quote("data.train=" + name + "/raw.json");
    const std::string dir = shell_quote("checkpoint.dir=" + name + "/run");
    for (const std::string& command :
         {"check " + folder + "/raw.json", "check " + folder + "/raw.json --json",
          "train config.json train.max_steps=1 " + data + " " + dir,
          "train config.json train.max_steps=1 " + data + " " + dir,  // again: finished already
          "inspect " + folder + "/run/final", "inspect " + folder + "/run/checkpoint-1",
          "report " + folder + "/run", "compare " + folder + "/run " + folder + "/run",
          "eval --json --model " + folder + "/run/final --data " + folder + "/raw.json --out " +
              folder + "/e.json",
          "thresholds " + folder + "/e.json --html " + folder + "/t.html",
          "export " + folder + "/run/checkpoint-1 " + folder + "/out"}) {
      const CommandResult result =
          run.run("export OMP_NUM_THREADS=1 TMPDIR=" + folder + "; " + kStreamo + " " + command);
      EXPECT_EQ(result.exit_code, 0) << command << result.err;
    }
  }
}

TEST(Environment, FoldersThatCannotBeWrittenAreNamed) {
  const SmallRun run("folders");
  fs::create_symlink("loop", run / "loop");
  run.write("file", "");
  for (const char* folder :
       {"/proc/run", "loop", "loop/run", "file", "file/run", "/dev/null/run"}) {
    const CommandResult result = run.train(std::string("checkpoint.dir=") + folder);
    EXPECT_THAT(result.exit_code, AnyOf(10, 14)) << folder << result.err;
    EXPECT_THAT(result.err, HasSubstr(folder));
  }
}

// Where root's privileges are in the way, as somebody else.
TEST(Environment, ALimitOfThreadsIsTheMachines) {
  const SmallRun run("threads");
  const std::string somebody = "setpriv --reuid 61234 --clear-groups ";
  if (run.run("chmod -R a+rwX . .. && " + somebody + "test -x " + kStreamo).exit_code != 0)
    GTEST_SKIP() << "needs root, to become a user of its own who can reach the program";
  for (const int limit : {1, 2, 3, 4, 6, 9}) {
    const CommandResult result =
        run.run("unset OMP_NUM_THREADS; " + somebody + "prlimit --nproc=" + std::to_string(limit) +
                " " + kStreamo + " train config.json train.num_threads=0 data.num_workers=8");
    EXPECT_THAT(result.exit_code, AnyOf(0, 15)) << limit << result.err;
    if (result.exit_code != 0) EXPECT_THAT(result.err, HasSubstr("ulimit -u")) << limit;
    EXPECT_FALSE(fs::exists(run / "run/skipped.jsonl")) << limit << result.err;
    fs::remove_all(run / "run");
  }
}

TEST(Environment, MemoryThatCannotBeHadIsNoBugOfOurs) {
  const SmallRun run("memory");
  // From where nothing works to where the program has just been loaded.
  for (const int megabytes : {1200, 1500, 2000, 3000}) {
    const CommandResult result =
        run.train("", "ulimit -v " + std::to_string(megabytes * 1024) + ";");
    EXPECT_THAT(result.exit_code, AnyOf(0, 15, 127)) << megabytes << result.err;  // 127: the loader
    EXPECT_FALSE(fs::exists(run / "run/skipped.jsonl")) << megabytes << result.err;
    fs::remove_all(run / "run");
  }
}

}  // namespace
}  // namespace streamo
