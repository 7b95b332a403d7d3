// Signals at each phase of each long command. The moment is a fault point at which the signal is
// sent and the command then hangs, so that only what obeys it at once can end it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>

#include "support/small_run.h"
#include "support/train_processes.h"

namespace streamo {
namespace {

namespace fs = std::filesystem;
using test::CommandResult;
using test::SmallRun;
using test::TrainProcesses;
using testing::HasSubstr;

constexpr int kStoppedAndSaved = 20;

// What is not ready yet, anywhere below.
int temporaries_in(const fs::path& folder) {
  int found = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    found += entry.path().filename().string().starts_with(".streamo-tmp-") ? 1 : 0;
  return found;
}

std::string fault_at(const std::string& point) {
  return "STREAMO_FAULT=" + point + " timeout -s KILL 20";
}

TEST(Signals, EndTrainingAtOnceBeforeItHasAnythingToSave) {
  const SmallRun run("startup");
  for (const char* moment : {"read.open:1", "read.open:2", "read.bytes:9", "file.open:1",
                             "file.sync:1", "index.sample:2"}) {
    for (const char* signal : {"term", "int", "hup"}) {
      const CommandResult result =
          run.train("", fault_at(std::string(moment) + ":" + signal + "+hang"));
      EXPECT_EQ(result.exit_code, kStoppedAndSaved) << moment << signal << result.err;
      EXPECT_EQ(temporaries_in(run.path()), 0) << moment << signal;
    }
  }
}

TEST(Signals, EndTrainingInOrderOnceItRuns) {
  const SmallRun run("steps", 3);
  for (const char* signal : {"term", "int", "hup"}) {
    const CommandResult result = run.train("", fault_at(std::string("train.step:2:") + signal));
    EXPECT_EQ(result.exit_code, kStoppedAndSaved) << signal << result.err;
    EXPECT_THAT(result.err, HasSubstr("saving a checkpoint first")) << signal;
    EXPECT_TRUE(fs::exists(run / "run/checkpoint-2/manifest.json")) << signal;
    fs::remove_all(run / "run");
  }
}

TEST(Signals, Usr1SavesAndGoesOn) {
  const SmallRun run("usr1", 3);
  const CommandResult result = run.train("", "STREAMO_FAULT=train.step:1:usr1");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(fs::exists(run / "run/checkpoint-1/manifest.json"));
  EXPECT_TRUE(fs::exists(run / "run/checkpoint-3/manifest.json"));
  EXPECT_FALSE(fs::exists(run / "run/checkpoint-2/manifest.json")) << "once";
}

TEST(Signals, Usr2AndUsr1ElsewhereAreIgnored) {
  const SmallRun run("usr2");
  for (const char* moment : {"read.open:1:usr1", "read.open:1:usr2", "train.step:1:usr2"}) {
    EXPECT_EQ(run.train("", "STREAMO_FAULT=" + std::string(moment)).exit_code, 0) << moment;
    fs::remove_all(run / "run");
  }
  for (const char* signal : {"usr1", "usr2"}) {
    EXPECT_EQ(run.run(std::string("STREAMO_FAULT=read.open:1:") + signal + " " +
                      test::shell_quote(STREAMO_BINARY) + " check raw.json")
                  .exit_code,
              0)
        << signal;
  }
}

TEST(Signals, OneRankIsEnough) {
  const SmallRun run("ranks", 4);
  const auto train = [&](const char* fault, const char* dir) {
    TrainProcesses processes(
        {.folder = run.path(),
         .arguments = {"config.json", "train.micro_batch_size=1", "train.grad_accum_steps=1",
                       std::string("checkpoint.dir=") + dir},
         .ranks = 2,
         .own = [&](int rank) { return rank == 1 ? test::fault(fault) : test::OwnOfRank(); }});
    return processes.wait();
  };
  for (const CommandResult& result : train("train.step:2:usr1", "saved"))
    EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(fs::exists(run / "saved/checkpoint-2/manifest.json"));
  for (const CommandResult& result : train("train.step:2:hup", "stopped"))
    EXPECT_EQ(result.exit_code, kStoppedAndSaved) << result.err;
  EXPECT_TRUE(fs::exists(run / "stopped/checkpoint-2/manifest.json"));
  // Before there is anything to save, too, while the other one waits for this one.
  for (const CommandResult& result : train("read.open:2:term+hang", "early"))
    EXPECT_EQ(result.exit_code, kStoppedAndSaved) << result.err;
}

TEST(Signals, ALostTerminalMeansNothingUnderNohup) {
  const SmallRun run("nohup");
  const CommandResult result = run.train("", "STREAMO_FAULT=train.step:1:hup nohup");
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

struct Moment {
  const char* command;
  const char* point;
};

// In the middle of its work, and with its output open.
TEST(Signals, EndEachOtherCommandAtOnceWithNothingHalfWritten) {
  const SmallRun run("others");
  ASSERT_EQ(run.train().exit_code, 0);
  const std::string model = "--model run/final";
  for (const Moment& moment : std::vector<Moment>{
           {"check raw.json", "read.open:1"},
           {"check config.json", "file.sync:1"},
           {"convert to-stream --input raw.json --output o.json", "read.bytes:3"},
           {"convert to-stream --input raw.json --output o.json", "file.sync:1"},
           {"eval --model run/final --data raw.json", "read.open:5"},
           {"eval --model run/final --data raw.json --out e.json", "file.sync:1"},
           {"watch --model run/final --video none.mp4", "read.open:3"},
           {"export run/checkpoint-2 out", "file.sync:2"},
           {"score --model run/final --data raw.json --out s.safetensors", "read.open:4"},
           {"synthesize --out clips --clips 3", "file.sync:2"},
           {"inspect run/final", "read.open:2"},
           {"plan config.json", "file.open:1"},
           {"report run", "file.sync:1"}}) {
    for (const char* signal : {"term", "int"}) {
      const CommandResult result =
          run.run(fault_at(std::string(moment.point) + ":" + signal + "+hang") + " " +
                  test::shell_quote(STREAMO_BINARY) + " " + moment.command);
      const int expected = 128 + (std::string(signal) == "term" ? SIGTERM : SIGINT);
      EXPECT_EQ(result.exit_code, expected) << moment.command << moment.point << result.err;
      EXPECT_EQ(temporaries_in(run.path()), 0) << moment.command;
    }
  }
  for (const char* output : {"o.json", "e.json", "out", "s.safetensors"})
    EXPECT_FALSE(fs::exists(run / output)) << output;
}

}  // namespace
}  // namespace streamo
