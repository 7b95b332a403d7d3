// A training run that is killed, stopped, or whose disk fails, at any moment: the same command goes
// on, and what comes out is bit for bit what the run without trouble gives (its final weights, the
// state of the optimizer and the losses it logged). CPU, fp32, one thread.
//
// Moments are counted in what the program does, not in time: the same ones on every machine. A
// sample of it runs always; with STREAMO_FULL_FAULTS=1 all: 204 random kills (of one process, and
// of one of two, with the state or everything in parts), a crash at every single fault point of a
// run of one process and of two, 100 signals. docs/faults.md has the commands and what they found.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <random>

#include "support/example_records.h"
#include "support/fault_sample.h"
#include "support/train_processes.h"

namespace streamo {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::CommandResult;
using test::TrainProcesses;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

constexpr int kSteps = 8;
constexpr int kKilled = 128 + SIGKILL, kTerminated = 128 + SIGTERM;
constexpr int kFinished = 0, kConfig = 10, kDisk = 14, kStopped = 20, kPeer = 21;
constexpr int kMicroBatches = 2;       // of a step, of all ranks
constexpr uint64_t kFilePoints = 470;  // about as many as a run passes

// How a run is spread: its result is the same.
struct Spread {
  const char* name;
  int ranks = 1;
  const char* shard = "optimizer";

  std::vector<std::string> overrides() const { return {std::string("parallel.shard=") + shard}; }
};
constexpr Spread kOneProcess{"OneProcess"}, kTwoProcesses{"TwoProcesses", 2},
    kTwoWithBlocksInParts{"TwoWithBlocksInParts", 2, "full"};

void PrintTo(const Spread& spread, std::ostream* out) {
  *out << spread.name;
}

class TrainFaults : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    root_ = fs::path(testing::TempDir()) / fmt::format("train-faults-{}", ::getpid());
    fs::create_directories(root_);
    json few = test::example_record_of_each_video();
    std::ofstream(root_ / "raw.json") << few.dump();
    few.erase(few.begin());
    std::ofstream(root_ / "other.json") << few.dump();
    std::ofstream(root_ / "config.json")
        << json{{"model", {{"preset", "example"}, {"vocab_size", 400}}},
                {"data",
                 {{"train", "raw.json"},
                  {"num_workers", 1},
                  {"packing", false},
                  {"max_pixels", 6272},
                  {"system_prompt", "Watch."}}},
                {"optim", {{"lr", 1e-3}}},
                {"train",
                 {{"max_steps", kSteps},
                  {"micro_batch_size", 1},
                  {"num_threads", 1},
                  {"deterministic", true}}},
                {"checkpoint", {{"every_steps", 2}}},
                {"log", {{"every_steps", 1}, {"tensorboard", false}}}};
    const CommandResult result = start("reference").wait()[0];
    ASSERT_EQ(result.exit_code, kFinished) << result.err;
  }
  static void TearDownTestSuite() { fs::remove_all(root_); }
  void TearDown() override {
    if (!HasFailure()) fs::remove_all(root_ / "run");
  }

  static TrainProcesses start(const std::string& run,
                              const std::vector<std::string>& overrides = {}, int ranks = 1,
                              const std::string& fault = "", int victim = 0) {
    std::vector<std::string> arguments = {
        "config.json", "checkpoint.dir=" + run,
        fmt::format("train.grad_accum_steps={}", kMicroBatches / ranks)};
    arguments.insert(arguments.end(), overrides.begin(), overrides.end());
    return TrainProcesses(
        {.folder = root_, .arguments = arguments, .ranks = ranks, .own = [=](int rank) {
           return fault.empty() || rank != victim ? test::OwnOfRank() : test::fault(fault);
         }});
  }
  static CommandResult with_fault(const std::string& fault,
                                  const std::vector<std::string>& overrides = {}) {
    return start("run", overrides, 1, fault).wait()[0];
  }

  static std::map<int, std::string> losses(const std::string& run) {
    std::map<int, std::string> found;
    std::istringstream lines(TrainProcesses::read(root_ / run / "metrics.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      const json entry = json::parse(line);
      found[entry["step"]] = entry["loss"].dump() + " " + entry["grad_norm"].dump();
    }
    return found;
  }

  // The finished run `run` is the run that never met trouble, and nothing is left lying there.
  static void expect_the_reference(const std::string& run) {
    const fs::path last = fmt::format("checkpoint-{}", kSteps);
    for (const fs::path& file : {fs::path("final/model.safetensors"), last / "model.safetensors",
                                 last / "optimizer.safetensors", fs::path("latest")}) {
      const std::string expected = TrainProcesses::read(root_ / "reference" / file);
      ASSERT_FALSE(expected.empty());
      EXPECT_TRUE(TrainProcesses::read(root_ / run / file) == expected) << file;
    }
    EXPECT_EQ(losses(run), losses("reference"));
    // A stop saves between the checkpoints that are due: which the older one is may differ.
    const auto names = [](const std::string& of) {
      std::vector<std::string> found;
      for (const auto& entry : fs::directory_iterator(root_ / of)) {
        const std::string name = entry.path().filename().string();
        found.push_back(name.starts_with("checkpoint-") ? "checkpoint" : name);
      }
      return found;
    };
    EXPECT_THAT(names(run), testing::UnorderedElementsAreArray(names("reference")));
  }

  static TrainProcesses start(const Spread& spread, const std::string& fault = "", int victim = 0) {
    return start("run", spread.overrides(), spread.ranks, fault, victim);
  }

  // Goes on with "run" after some trouble; what it finds must be sound.
  static void expect_it_goes_on(const Spread& spread = kOneProcess) {
    for (const CommandResult& result : start(spread).wait()) {
      EXPECT_EQ(result.exit_code, kFinished) << result.err;
      EXPECT_THAT(result.err, Not(HasSubstr("passed over")));
    }
    expect_the_reference("run");
  }

  // All processes have ended because `victim` was killed, true; or the run was done before, false.
  static bool expect_all_ended(const std::vector<CommandResult>& results, int victim) {
    const bool killed = results[static_cast<size_t>(victim)].exit_code == kKilled;
    for (int rank = 0; rank < static_cast<int>(results.size()); ++rank) {
      const CommandResult& result = results[static_cast<size_t>(rank)];
      SCOPED_TRACE(fmt::format("rank {} of {}: {}", rank, results.size(), result.err));
      EXPECT_THAT(result.err, Not(HasSubstr("passed over")));
      if (rank == victim || !killed) {
        EXPECT_EQ(result.exit_code, killed ? kKilled : kFinished);
      } else if (result.exit_code == kKilled) {  // by the launcher
        EXPECT_EQ(result.err, "") << "once all have come together they end of themselves";
      } else if (result.exit_code != kFinished) {  // all was done already
        EXPECT_EQ(result.exit_code, kPeer);
        EXPECT_THAT(result.err, AnyOf(HasSubstr(fmt::format("rank {} on ", victim)),
                                      HasSubstr("did not come together")));
      }
    }
    return killed;
  }

  // Some moment of a run, counted in what the rank does: the first one writes files, all take
  // steps.
  static std::string random_moment(std::mt19937_64& random, int rank) {
    const bool in_a_file = rank == 0 && random() % 4 != 0;
    return in_a_file ? fmt::format("file.*:{}", 1 + random() % kFilePoints)
                     : fmt::format("train.*:{}", 1 + random() % (2 * kSteps));
  }

  static fs::path root_;
};
fs::path TrainFaults::root_;

// The full counts in parts: each ends within minutes, and some can run at once.
class RandomKills : public TrainFaults,
                    public testing::WithParamInterface<std::tuple<Spread, int>> {};

// A rank of several, at random, is killed, and all are started again until the run is done; then
// from the beginning.
TEST_P(RandomKills, TheRunGoesOn) {
  const auto [spread, part] = GetParam();
  const int wanted = test::all_faults() ? 17 : spread.ranks == 1 ? 5 : 2;
  std::seed_seq seed(spread.name, spread.name + std::strlen(spread.name));
  std::mt19937_64 random(seed);
  random.discard(static_cast<uint64_t>(1000 * part));
  int kills = 0, runs = 0;
  while (kills < wanted) {
    const auto victim = static_cast<int>(random() % static_cast<uint64_t>(spread.ranks));
    const std::string fault = random_moment(random, victim) + ":kill";
    SCOPED_TRACE(fmt::format("rank {}, {}", victim, fault));
    const bool killed = expect_all_ended(start(spread, fault, victim).wait(), victim);
    ASSERT_FALSE(HasFailure()) << "after " << kills << " kills";
    if (killed) ++kills;
    if (killed && kills < wanted) continue;
    ++runs;
    expect_it_goes_on(spread);  // if it is done already: says so and changes nothing
    ASSERT_FALSE(HasFailure()) << "after " << kills << " kills";
    fs::remove_all(root_ / "run");
  }
  fmt::print("{} kills in {} runs\n", kills, runs);
}

INSTANTIATE_TEST_SUITE_P(SpreadAndPart, RandomKills,
                         testing::Combine(testing::Values(kOneProcess, kTwoProcesses,
                                                          kTwoWithBlocksInParts),
                                          testing::Range(0, test::all_faults() ? 4 : 1)));

constexpr int kCrashParts = 8;
class CrashPoints : public TrainFaults,
                    public testing::WithParamInterface<std::tuple<Spread, int>> {};

// At each write, flush, rename, removal of all files of the first process, which writes checkpoints
// and all else; of its points, every eighth is of one part.
TEST_P(CrashPoints, TheRunGoesOn) {
  const auto [spread, part] = GetParam();
  const int apart = test::all_faults() ? 1 : 43;
  int crashes = 0;
  for (int point = 1 + apart * part;; point += apart * kCrashParts) {
    const auto results = start(spread, fmt::format("file.*:{}:kill", point)).wait();
    const bool killed = expect_all_ended(results, 0);
    ASSERT_FALSE(HasFailure()) << "at point " << point;
    if (!killed) break;
    expect_it_goes_on(spread);
    ASSERT_FALSE(HasFailure()) << "after a crash at point " << point;
    fs::remove_all(root_ / "run");
    ++crashes;
  }
  EXPECT_GT(crashes, 0);
  fmt::print("{} crashes\n", crashes);
}

INSTANTIATE_TEST_SUITE_P(One, CrashPoints,
                         testing::Combine(testing::Values(kOneProcess),
                                          testing::Range(0, kCrashParts)));
INSTANTIATE_TEST_SUITE_P(
    Two, CrashPoints,
    testing::Combine(testing::Values(kTwoWithBlocksInParts),
                     test::all_faults() ? testing::Range(0, kCrashParts)
                                        : testing::Range(kCrashParts / 2, kCrashParts / 2 + 1)));

class RandomStops : public TrainFaults, public testing::WithParamInterface<int> {};

TEST_P(RandomStops, AreSavedAndTheRunGoesOn) {
  const int part = GetParam();
  const int wanted = test::all_faults() ? 25 : 4;
  std::mt19937_64 random(static_cast<uint64_t>(2 + part));
  int stops = 0, before_or_after = 0;
  while (stops < wanted) {
    const std::string fault = random_moment(random, 0) + ":term";
    SCOPED_TRACE(fault);
    const CommandResult result = start("run", {}, 1, fault).wait(std::chrono::seconds(30))[0];
    // Before the first step, and after all is done, there is nothing to save.
    ASSERT_THAT(result.exit_code, AnyOf(kStopped, kTerminated, kFinished)) << result.err;
    if (result.err.find("stopped by a signal and saved") != std::string::npos) {
      ++stops;
      EXPECT_EQ(result.exit_code, kStopped);
    } else {
      ++before_or_after;
    }
    if (result.exit_code == kTerminated) {
      EXPECT_THAT(result.err, AnyOf("", HasSubstr("finished")));
    }
    if (result.exit_code != kFinished && stops < wanted) continue;
    expect_it_goes_on();
    ASSERT_FALSE(HasFailure()) << "after " << stops << " signals";
    fs::remove_all(root_ / "run");
  }
  fmt::print("{} stops, {} signals before or behind the run\n", stops, before_or_after);
}

INSTANTIATE_TEST_SUITE_P(Part, RandomStops, testing::Range(0, test::all_faults() ? 4 : 1));

TEST_F(TrainFaults, ASecondSignalEndsItAtOnce) {
  TrainProcesses process = start("run", {"train.max_steps=100000", "data.num_workers=2"});
  ASSERT_TRUE(process.wait_for("run/latest", "checkpoint-2"));
  process.signal(0, SIGTERM);
  process.signal(0, SIGINT);
  const CommandResult result = process.wait(std::chrono::seconds(2))[0];
  EXPECT_THAT(result.exit_code, AnyOf(128 + SIGINT, kTerminated)) << result.err;
  const CommandResult next = with_fault("checkpoint.save:1:kill", {"train.max_steps=100000"});
  EXPECT_THAT(next.err, HasSubstr("resuming from"));
  EXPECT_THAT(next.err, Not(HasSubstr("passed over")));
}

// The second of four saves meets a full disk: a warning, and the run ends as if nothing had been.
TEST_F(TrainFaults, OneSaveThatFailsIsAWarning) {
  for (const char* action : {"enospc", "eio"}) {
    const CommandResult result = with_fault(fmt::format("checkpoint.save:2:{}", action));
    EXPECT_EQ(result.exit_code, kFinished) << result.err;
    EXPECT_THAT(result.err, HasSubstr("warning: checkpoint-4 is not saved, older ones are intact"));
    EXPECT_TRUE(fs::exists(root_ / "run/checkpoint-6"));
    EXPECT_FALSE(fs::exists(root_ / "run/checkpoint-4"));
    fs::remove_all(root_ / "run/checkpoint-6");  // where the reference kept another
    fs::copy(root_ / "reference/checkpoint-6", root_ / "run/checkpoint-6");
    expect_the_reference("run");
    fs::remove_all(root_ / "run");
  }
}

// Full from the second save on: the last one must be an error. With room again it goes on.
TEST_F(TrainFaults, ADiskThatStaysFullIsAnErrorAtTheEnd) {
  const CommandResult full = with_fault("checkpoint.save:2+:enospc");
  EXPECT_EQ(full.exit_code, kDisk) << full.err;
  EXPECT_THAT(full.err, HasSubstr(": cannot write: No space left on device\n  hint: "));
  EXPECT_TRUE(fs::exists(root_ / "run/checkpoint-2"));
  expect_it_goes_on();
}

TEST_F(TrainFaults, ThreeSavesThatFailInARowEndTheRun) {
  const CommandResult full = with_fault("checkpoint.save:2+:enospc", {"train.max_steps=100000"});
  EXPECT_EQ(full.exit_code, kDisk) << full.err;
  EXPECT_THAT(full.err, HasSubstr("checkpoint-4 is not saved"));
  EXPECT_THAT(full.err, HasSubstr("checkpoint-8 is not saved"));
  EXPECT_THAT(full.err, Not(HasSubstr("checkpoint-10 is not saved")));
  EXPECT_TRUE(fs::exists(root_ / "run/checkpoint-2"));
}

TEST_F(TrainFaults, AStopInAnEvaluationIsObeyedAndItIsMadeUpFor) {
  const std::vector<std::string> overrides = {"data.eval=[\"raw.json\"]", "eval.every_steps=4"};
  TrainProcesses process = start("run", overrides);
  ASSERT_TRUE(process.wait_for("run/latest", "checkpoint-4"));  // evaluates at this moment
  process.signal(0, SIGTERM);
  const CommandResult stopped = process.wait(std::chrono::seconds(30))[0];
  EXPECT_EQ(stopped.exit_code, kStopped) << stopped.err;
  const CommandResult next = start("run", overrides).wait()[0];
  EXPECT_EQ(next.exit_code, kFinished) << next.err;
  EXPECT_TRUE(fs::exists(root_ / "run/eval-4.json"));
  EXPECT_TRUE(fs::exists(root_ / fmt::format("run/eval-{}.json", kSteps)));
}

TEST_F(TrainFaults, TwoRunsInOneFolderAreRefused) {
  TrainProcesses first = start("run", {"train.max_steps=100000"});
  ASSERT_TRUE(first.wait_for("run/metrics.jsonl", "\"step\":1,"));
  const CommandResult second =
      TrainProcesses(
          {.folder = root_,
           .arguments = {"../" + root_.filename().string() + "/config.json", "checkpoint.dir=run"}})
          .wait()[0];
  EXPECT_EQ(second.exit_code, kConfig);
  EXPECT_THAT(second.err, HasSubstr("another run is writing to this folder"));
  EXPECT_TRUE(first.signal(0, SIGTERM)) << "the first one runs on";
  EXPECT_EQ(first.wait()[0].exit_code, kStopped);
}

// Another model, other settings, other data, a checkpoint of another run: each said in words.
TEST_F(TrainFaults, TheCheckpointOfSomethingElseIsRefused) {
  const auto refused = [](const std::vector<std::string>& overrides, const std::string& said) {
    const CommandResult result = start("reference", overrides).wait()[0];
    EXPECT_EQ(result.exit_code, kConfig) << result.err;
    EXPECT_THAT(result.err, HasSubstr(said));
  };
  refused({"model.vocab_size=420"}, "model.vocab_size: 400 -> 420");
  refused({"optim.lr=2e-3", "data.fps=2"}, "data.fps: 1.0 -> 2.0; optim.lr: 0.001 -> 0.002");
  refused({"data.train=other.json"}, "other.json");
  fs::copy(root_ / "raw.json", root_ / "kept.json");
  fs::copy(root_ / "other.json", root_ / "raw.json", fs::copy_options::overwrite_existing);
  refused({}, "data.train is not what this run was started with");
  fs::copy(root_ / "kept.json", root_ / "raw.json", fs::copy_options::overwrite_existing);
  fs::remove(root_ / "kept.json");
  const CommandResult other =
      start("run", {"model.vocab_size=420", "checkpoint.resume=reference/checkpoint-8"}).wait()[0];
  EXPECT_EQ(other.exit_code, kConfig) << other.err;
  EXPECT_THAT(other.err, HasSubstr("model.vocab_size: 400 -> 420"));
}

}  // namespace
}  // namespace streamo
