// Who starts the processes of a run, and starts them again: train.sh, Slurm (a stand-in for srun
// and scontrol that sets what they set), torchrun; and a run on two machines, which are network
// namespaces here. Truth: the same run of one process or uninterrupted, bit for bit. CPU, fp32.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "support/free_port.h"
#include "support/run_command.h"
#include "support/train_processes.h"

namespace streamo {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::CommandResult;
using test::OwnOfRank;
using test::run_in;
using test::shell_quote;
using test::TrainProcesses;
using testing::AnyOf;
using testing::HasSubstr;

constexpr int kMicroBatches = 4;  // of a step, of all ranks

class Launchers : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_);
    const json config = {{"model", {{"preset", "example"}, {"vocab_size", 400}}},
                         {"data",
                          {{"train", STREAMO_SOURCE_DIR "/dataset/example/raw_data.json"},
                           {"packing", false},
                           {"num_workers", 1},
                           {"system_prompt", "Speak."}}},
                         {"optim", {{"lr", 1e-3}}},
                         {"train", {{"max_steps", 6}, {"deterministic", true}, {"num_threads", 1}}},
                         {"checkpoint", {{"every_steps", 2}}},
                         {"log", {{"every_steps", 1}, {"tensorboard", false}}}};
    std::ofstream(folder_ / "config.json") << config.dump(1);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write_script(const fs::path& path, const std::string& body) const {
    fs::create_directories((folder_ / path).parent_path());
    std::ofstream(folder_ / path) << "#!/bin/bash\n" << body;
    fs::permissions(folder_ / path, fs::perms::owner_all);
  }

  static std::vector<std::string> arguments(const std::string& run, int ranks,
                                            const std::vector<std::string>& overrides = {}) {
    std::vector<std::string> words = {
        "config.json", "checkpoint.dir=" + run,
        fmt::format("train.grad_accum_steps={}", kMicroBatches / ranks)};
    words.insert(words.end(), overrides.begin(), overrides.end());
    return words;
  }
  void run_reference(int ranks = 1, const std::vector<std::string>& overrides = {}) const {
    const auto results = TrainProcesses({.folder = folder_,
                                         .arguments = arguments("reference", ranks, overrides),
                                         .ranks = ranks})
                             .wait();
    for (const CommandResult& result : results) ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  void expect_the_reference(const std::string& run, const std::string& options = "") const {
    const CommandResult compared =
        run_in(folder_, shell_quote(STREAMO_BINARY) + " compare reference " + run + " " + options);
    EXPECT_EQ(compared.exit_code, 0) << compared.out << compared.err;
    EXPECT_THAT(compared.out, HasSubstr("steps        6, all equal"));
    EXPECT_THAT(compared.out, HasSubstr("final "));
  }

  const fs::path folder_ = fs::path(testing::TempDir()) / fmt::format("launchers-{}", ::getpid());
};

// A process that dies before all have come together: nobody else can know of it.
TEST_F(Launchers, TrainShEndsTheOthersOfAProcessThatFailed) {
  fs::copy(fs::path(STREAMO_SOURCE_DIR) / "train.sh", folder_ / "train.sh");
  write_script("scripts/setup.sh", "");
  write_script("scripts/build.sh", "");
  write_script("build/streamo", "if [ $RANK = 1 ]; then kill -9 $$; fi; exec sleep 100");
  const auto begin = std::chrono::steady_clock::now();
  const CommandResult result = run_in(folder_, "NPROC_PER_NODE=3 bash train.sh config.json");
  EXPECT_EQ(result.exit_code, 137);
  EXPECT_THAT(result.err, testing::ContainsRegex("process [0-9]+ was ended by SIGKILL"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(25));
  write_script("build/streamo", "sleep 0.$RANK; exit $((RANK == 1 ? 14 : 21))");
  EXPECT_EQ(run_in(folder_, "NPROC_PER_NODE=3 bash train.sh config.json").exit_code, 14);
}

// Drawn anew for each run on one machine; several machines are given one.
TEST_F(Launchers, TrainShGivesItsRanksASecret) {
  fs::copy(fs::path(STREAMO_SOURCE_DIR) / "train.sh", folder_ / "train.sh");
  write_script("scripts/setup.sh", "");
  write_script("scripts/build.sh", "");
  write_script("build/streamo", "echo \"$STREAMO_RUN_SECRET\" > $1-$RANK");
  const auto secrets = [&](const std::string& variables) {
    const CommandResult result = run_in(folder_, variables + " bash train.sh config.json");
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return std::pair{TrainProcesses::read(folder_ / "train-0"),
                     TrainProcesses::read(folder_ / "train-1")};
  };
  const auto [first, second] = secrets("NPROC_PER_NODE=2");
  EXPECT_EQ(first.size(), 65U);  // 32 bytes, a line's end
  EXPECT_EQ(first, second);
  EXPECT_NE(secrets("NPROC_PER_NODE=2").first, first);
  EXPECT_EQ(secrets("NPROC_PER_NODE=2 STREAMO_RUN_SECRET=given").first, "given\n");
  EXPECT_EQ(secrets("NPROC_PER_NODE=2 NNODES=2 MASTER_ADDR=a").first, "\n");
}

// Each process is told once of each signal to the launcher, of which two processes say so here.
TEST_F(Launchers, PassSignalsOn) {
  fs::copy(fs::path(STREAMO_SOURCE_DIR) / "train.sh", folder_ / "train.sh");
  write_script("scripts/setup.sh", "");
  write_script("scripts/build.sh", "");
  write_script("build/streamo", R"(trap 'echo term >> told; exit 20' TERM
trap 'echo usr1 >> told' USR1
trap 'echo usr2 >> told' USR2
echo up >> told
while :; do sleep 0.01; done)");
  write_script("bin/srun", R"(while [ "${1#-}" != "$1" ]; do shift; done
"$@" & first=$!; "$@" & second=$!
for signal in TERM USR1 USR2; do trap "kill -$signal $first $second" $signal; done
while kill -0 $first || kill -0 $second; do wait $first; wait $second; done 2>/dev/null
wait $first)");
  write_script("bin/scontrol", "echo 127.0.0.1");
  for (const std::string launcher :
       {"NPROC_PER_NODE=2 exec bash train.sh",
        "PATH=$PWD/bin:$PATH SLURM_JOB_ID=7 SLURM_JOB_NODELIST=one exec bash " STREAMO_SOURCE_DIR
        "/scripts/slurm.sh"}) {
    for (const char* stop : {"TERM", "HUP"}) {
      fs::remove(folder_ / "told");
      const CommandResult result = run_in(
          folder_,
          fmt::format(
              "({} config.json) & pid=$!; "
              "told() {{ for i in $(seq 2000); do "
              "[ \"$(grep -c $1 told)\" = 2 ] && return; sleep 0.01; done; }}; "
              "told up; until [ $((0x$(awk '/SigCgt/ {{print $2}}' /proc/$pid/status) & 1)) = 1 ]; "
              "do sleep 0.01; done; kill -USR2 $pid; kill -USR1 $pid; told usr1; "
              "kill -{} $pid; wait $pid",
              launcher, stop));
      EXPECT_EQ(result.exit_code, 20) << launcher << stop << result.err;
      const std::string told = TrainProcesses::read(folder_ / "told");
      for (const char* word : {"up", "usr1", "term"}) {
        size_t count = 0;
        for (size_t at = 0; (at = told.find(word, at)) != std::string::npos; ++at) ++count;
        EXPECT_EQ(count, 2U) << launcher << stop << word << ": " << told;
      }
    }
  }
}

TEST_F(Launchers, AKilledTrainShLeavesNoProcessBehind) {
  fs::copy(fs::path(STREAMO_SOURCE_DIR) / "train.sh", folder_ / "train.sh");
  write_script("scripts/setup.sh", "");
  write_script("scripts/build.sh", "");
  write_script("build/streamo", "echo $$ >>pids; exec " + shell_quote(STREAMO_BINARY) + " \"$@\"");
  const CommandResult result = run_in(folder_, R"(
      NPROC_PER_NODE=2 bash train.sh config.json checkpoint.dir=run train.max_steps=1000000 >out 2>&1 &
      launcher=$!
      for tenth in $(seq 600); do
        if grep -qs '"step":2,' run/metrics.jsonl; then break; fi
        sleep 0.1
      done
      kill -9 $launcher
      for tenth in $(seq 100); do
        alive=0
        for process in $(cat pids); do
          if grep -qs '^State:.[^ZX]' /proc/$process/status; then alive=$((alive + 1)); fi
        done
        if [ $alive = 0 ]; then break; fi
        sleep 0.1
      done
      echo "of $(wc -l <pids) processes $alive are left")");
  EXPECT_EQ(result.out, "of 2 processes 0 are left\n") << result.err;
}

// Two machines that disagree on how many processes there are, and a process that was started twice.
TEST_F(Launchers, ProcessesThatDoNotBelongTogetherAreNeverTwoTrainings) {
  struct Case {
    std::function<std::map<std::string, std::string>(int)> environment;
    const char* said;
  };
  const std::vector<Case> cases = {{[](int rank) {
                                      const std::string size = rank < 2 ? "2" : "4";
                                      return std::map<std::string, std::string>{
                                          {"WORLD_SIZE", size}, {"LOCAL_WORLD_SIZE", size}};
                                    },
                                    "a process was started as one of"},
                                   {[](int rank) {
                                      return std::map<std::string, std::string>{
                                          {"RANK", std::to_string(rank < 3 ? rank : 1)},
                                          {"LOCAL_RANK", std::to_string(rank < 3 ? rank : 1)}};
                                    },
                                    "two processes were started as rank 1"}};
  for (const Case& wrong : cases) {
    const auto results =
        TrainProcesses(
            {.folder = folder_,
             .arguments = arguments("wrong", 1, {"train.max_steps=400"}),
             .ranks = 4,
             .own = [&](int rank) { return OwnOfRank{.environment = wrong.environment(rank)}; }})
            .wait();
    bool said = false;
    for (const CommandResult& result : results) {
      EXPECT_THAT(result.exit_code, AnyOf(2, 21)) << result.err;
      said |= result.err.find(wrong.said) != std::string::npos;
      EXPECT_THAT(result.err, testing::Not(HasSubstr("frame #")));  // of a stack
    }
    EXPECT_TRUE(said) << wrong.said;
  }
  EXPECT_FALSE(fs::exists(folder_ / "wrong/final"));
}

TEST_F(Launchers, UnderSlurm) {
  run_reference();
  fs::create_directories(folder_ / "build");
  fs::create_symlink(STREAMO_BINARY, folder_ / "build/streamo");
  write_script("bin/srun", fmt::format(R"(while [ "${{1#-}}" != "$1" ]; do shift; done
for rank in 0 1; do
  SLURM_PROCID=$rank SLURM_LOCALID=$rank SLURM_STEP_NUM_TASKS=2 MASTER_PORT={} OMP_NUM_THREADS=1 "$@" &
done
wait -n || status=$?
wait -n || status=$?
exit "${{status:-0}}"
)",
                                       test::free_port()));
  write_script("bin/scontrol", "echo \"$@\" >> asked; echo 127.0.0.1; echo other");
  const std::string job =
      "PATH=$PWD/bin:$PATH SLURM_JOB_ID=7 SLURM_JOB_NODELIST='node[1-2]' "
      "bash " STREAMO_SOURCE_DIR
      "/scripts/slurm.sh config.json train.grad_accum_steps=2 "
      "checkpoint.dir=run";
  const CommandResult stopped = run_in(folder_, "STREAMO_FAULT=train.step:3:term " + job);
  EXPECT_EQ(stopped.exit_code, 20) << stopped.err;
  EXPECT_THAT(TrainProcesses::read(folder_ / "asked"), HasSubstr("requeue 7"));
  const CommandResult finished = run_in(folder_, job);
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("resuming from"));
  expect_the_reference("run");
  EXPECT_EQ(run_in(folder_, "bash " STREAMO_SOURCE_DIR "/scripts/slurm.sh config.json").exit_code,
            2);
}

TEST_F(Launchers, TorchrunStartsItAgain) {
  // What torchrun calls, with the packages it needs.
  const std::string torchrun = shell_quote(STREAMO_ORACLE_PYTHON) + " -m torch.distributed.run";
  if (test::run_command(torchrun + " --help").exit_code != 0)
    GTEST_SKIP() << torchrun << " does not run, scripts/oracle.sh installs it";
  run_reference();
  write_script("rank", fmt::format(R"(
if [ "$RANK$TORCHELASTIC_RESTART_COUNT" = 10 ]; then export STREAMO_FAULT=train.step:5:kill; fi
exec {} train config.json train.grad_accum_steps=2 checkpoint.dir=run
)",
                                   shell_quote(STREAMO_BINARY)));
  const CommandResult result =
      run_in(folder_, "OMP_NUM_THREADS=1 timeout 100 " + torchrun +
                          " --standalone --nproc-per-node 2 --max-restarts 1 --no-python ./rank");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("resuming from"));
  expect_the_reference("run");
}

// As mpirun starts them: each process has only its launcher's variables.
TEST_F(Launchers, UnderMpirun) {
  run_reference();
  for (const std::string names :
       {"OMPI_COMM_WORLD_RANK OMPI_COMM_WORLD_LOCAL_RANK OMPI_COMM_WORLD_SIZE",
        "PMI_RANK MPI_LOCALRANKID PMI_SIZE"}) {
    write_script("mpirun", fmt::format(R"(
read -r rank local_rank size <<<'{}'
for r in 0 1; do
  env $rank=$r $local_rank=$r $size=2 MASTER_ADDR=127.0.0.1 MASTER_PORT={} OMP_NUM_THREADS=1 "$@" &
done
wait -n && wait -n
)",
                                       names, test::free_port()));
    const CommandResult result = run_in(folder_, "./mpirun " + shell_quote(STREAMO_BINARY) +
                                                     " train config.json train.grad_accum_steps=2 "
                                                     "checkpoint.dir=run");
    EXPECT_EQ(result.exit_code, 0) << result.err;
    expect_the_reference("run");
    fs::remove_all(folder_ / "run");
  }
}

// Two machines of two ranks: a link of two ends, a host name each.
class TwoMachines : public Launchers {
 protected:
  void SetUp() override {
    Launchers::SetUp();
    const CommandResult made = test::run_command(fmt::format(
        "set -e; for n in 0 1; do ip netns add {0}$n; ip -n {0}$n link set lo up; done; "
        "ip -n {0}0 link add eth type veth peer name eth netns {0}1; "
        "for n in 0 1; do ip -n {0}$n addr add 10.231.7.1$n/24 dev eth; "
        "ip -n {0}$n link set eth up; done; ip netns exec {0}0 unshare --uts true",
        name_));
    if (made.exit_code != 0)
      GTEST_SKIP() << "network namespaces are not permitted here: " << made.err;
  }
  void TearDown() override {
    test::run_command(fmt::format("for n in 0 1; do ip netns del {}$n; done", name_));
    Launchers::TearDown();
  }

  TrainProcesses start(const std::string& run, const std::vector<std::string>& overrides = {}) {
    return TrainProcesses(
        {.folder = folder_,
         .arguments = arguments(run, 4, overrides),
         .ranks = 4,
         .own = [this](int rank) {
           const int machine = rank / 2;
           return OwnOfRank{
               .environment = {{"MASTER_ADDR", "10.231.7.10"},
                               {"STREAMO_RUN_SECRET", "of both machines"},
                               {"LOCAL_RANK", std::to_string(rank % 2)},
                               {"LOCAL_WORLD_SIZE", "2"}},
               .prefix = {"ip", "netns", "exec", fmt::format("{}{}", name_, machine), "unshare",
                          "--uts", "sh", "-c",
                          fmt::format("hostname machine{}; exec \"$@\"", machine), "sh"}};
         }});
  }

  const std::string name_ = fmt::format("streamo{}-", ::getpid());
};

// Bit for bit where the order of sums is fixed, else to rounding.
TEST_F(TwoMachines, TrainAsFourRanksOfOneMachine) {
  for (const std::string deterministic : {"true", "false"}) {
    const std::vector<std::string> overrides = {"train.deterministic=" + deterministic};
    run_reference(4, overrides);
    TrainProcesses processes = start("run", overrides);
    for (const CommandResult& result : processes.wait())
      EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(TrainProcesses::read(folder_ / "rank-0.err"), HasSubstr("rank 3 on machine1"));
    EXPECT_THAT(TrainProcesses::read(folder_ / "rank-0.err"), testing::Not(HasSubstr("secret")));
    expect_the_reference("run", deterministic == "true" ? "" : "--tolerance 1e-6");
    fs::remove_all(folder_ / "reference");
    fs::remove_all(folder_ / "run");
  }
}

TEST_F(TwoMachines, ACutLinkEndsBoth) {
  TrainProcesses processes = start("run", {"train.max_steps=100000"});
  ASSERT_TRUE(processes.wait_for("run/metrics.jsonl", "\"step\":3,"));
  test::run_command(fmt::format("ip -n {}1 link set eth down", name_));
  const auto results = processes.wait(std::chrono::seconds(50));
  for (size_t rank = 0; rank < results.size(); ++rank) {
    EXPECT_THAT(results[rank].exit_code, AnyOf(21, 22)) << rank << ": " << results[rank].err;
    EXPECT_THAT(results[rank].err, HasSubstr(rank < 2 ? "machine1" : "machine0"));
  }
}

}  // namespace
}  // namespace streamo
