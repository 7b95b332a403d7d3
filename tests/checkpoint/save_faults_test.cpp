// A save that is killed, or whose disk is full or broken, at each of its writes, flushes, renames
// and removals, one after the other (the points of core/fault_point.h): what was there before
// still loads, and nothing is left behind for ever. Every sixth point always, all of them with
// STREAMO_FULL_FAULTS=1.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <set>

#include "checkpoint/async_saver.h"
#include "core/io/file.h"
#include "model/weights/safetensors.h"
#include "support/fault_sample.h"
#include "support/power_loss.h"

namespace streamo::checkpoint {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr int kDisk = static_cast<int>(core::ErrorKind::kDisk);

int step_over_points() {
  return test::all_faults() ? 1 : 6;
}

Snapshot make_snapshot(int64_t step, double value) {
  return {.step = step,
          .weights = {{"a", torch::full({2, 3}, value)}, {"b", torch::full({4}, value)}},
          .optimizer = {{"a.exp_avg", torch::full({2, 3}, -value)}},
          .trainer_state = {{"step", step}}};
}

double value_of(const fs::path& checkpoint) {
  return load_snapshot(checkpoint).weights.at("a").mean().item<double>();
}

// By run_child in a process of its own, which dies in it. Exit code: 0, or that of the error.
int save_in_child(const fs::path& root, bool same_step) {
  const SnapshotStore store(root / "run", root / "model", 1);
  try {
    store.save(same_step ? make_snapshot(1, 3) : make_snapshot(2, 2));
    return 0;
  } catch (const core::Error& error) {
    return error.exit_code();
  }
}

class SaveFaults : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(root_);
    core::write_file_atomic(root_ / "model/config.json", "{}");
    model::write_safetensors(root_ / "model/model.safetensors", {{"a", torch::zeros({4})}});
    store_.save(make_snapshot(1, 1));
  }
  void TearDown() override { fs::remove_all(root_); }

  // Status of the child, as waitpid gives it.
  int run_child(const std::string& fault, bool same_step) const {
    const pid_t child = ::fork();
    if (child == 0) {  // a fresh process: the variable is read once
      ::setenv("STREAMO_FAULT", fault.c_str(), 1);
      ::setenv("STREAMO_SAVE_TEST_DIR", root_.c_str(), 1);
      ::execl("/proc/self/exe", "checkpoint_test", "--gtest_brief=1",
              "--gtest_also_run_disabled_tests",
              same_step ? "--gtest_filter=SaveChild.DISABLED_SameStep"
                        : "--gtest_filter=SaveChild.DISABLED_NextStep",
              nullptr);
      std::_Exit(99);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
  }

  static std::string fault(int point, const std::string& action) {
    return "file.*:" + std::to_string(point) + action;
  }

  // How many there are in the save.
  int count_points(bool same_step) {
    int passed = 0;
    for (int step = 256; step > 0; step /= 2) {
      SetUp();
      if (WIFSIGNALED(run_child(fault(passed + step, ":kill"), same_step))) passed += step;
    }
    return passed;
  }

  std::set<std::string> names() const {
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(run_dir_))
      found.insert(entry.path().filename().string());
    return found;
  }

  // What the next start finds, and that it finds nothing else.
  void expect_old_or_new() const {
    core::remove_temporaries(run_dir_);
    for (const std::string& name : names())
      EXPECT_THAT(name, testing::AnyOf("latest", "checkpoint-1", "checkpoint-2"));
    const auto [newest, passed_over] = newest_sound_snapshot(run_dir_);
    ASSERT_TRUE(newest);
    EXPECT_TRUE(passed_over.empty()) << "what carries the final name is complete";
    const double value = value_of(*newest);
    EXPECT_EQ(value, newest->filename() == "checkpoint-2" ? 2.0 : value == 1.0 ? 1.0 : 3.0);
    const std::string latest = core::read_file(run_dir_ / "latest");
    EXPECT_TRUE(fs::exists(run_dir_ / latest.substr(0, latest.size() - 1)))
        << "latest names what is there: " << latest;
  }

  fs::path root_ = fs::path(::testing::TempDir()) / ("save_faults_" + std::to_string(::getpid()));
  fs::path run_dir_ = root_ / "run";
  SnapshotStore store_{run_dir_, root_ / "model", 1};
};

TEST_F(SaveFaults, ACrashAnywhereLeavesASoundCheckpoint) {
  for (const bool same_step : {false, true}) {
    const int points = count_points(same_step);
    EXPECT_GT(points, 40);
    for (int point = 1; point <= points; point += step_over_points()) {
      SetUp();
      EXPECT_TRUE(WIFSIGNALED(run_child(fault(point, ":kill"), same_step)));
      SCOPED_TRACE("crash at " + std::to_string(point));
      expect_old_or_new();
    }
  }
}

// Failing once (an I/O error) and from some point on (a full disk).
TEST_F(SaveFaults, AFailingDiskLeavesASoundCheckpoint) {
  const int points = count_points(/*same_step=*/false);
  for (const std::string action : {":eio", "+:enospc"}) {
    int tried = 0, failures = 0;
    for (int point = 1; point <= points; point += step_over_points()) {
      SetUp();
      const int status = run_child(fault(point, action), /*same_step=*/false);
      SCOPED_TRACE(action + " at " + std::to_string(point));
      ASSERT_TRUE(WIFEXITED(status));
      // Only that an old checkpoint cannot be removed is no failure.
      EXPECT_THAT(WEXITSTATUS(status), testing::AnyOf(0, kDisk));
      ++tried;
      failures += WEXITSTATUS(status) == kDisk ? 1 : 0;
      expect_old_or_new();
    }
    EXPECT_GE(failures, tried - 3);
  }
}

// The same failures from the system itself: each open, write, flush, rename and removal of a save.
TEST_F(SaveFaults, ASystemCallThatFailsLeavesASoundCheckpoint) {
  const test::FileTree before = test::read_tree(run_dir_);
  for (const int error : {EIO, ENOSPC}) {
    size_t failures = 0;
    for (size_t call = 1;; ++call) {
      test::write_tree(before, run_dir_);
      const auto code = test::SystemCallRecorder(run_dir_).exit_code_with_failure(
          [&] { return save_in_child(root_, /*same_step=*/false); }, call, error);
      if (!code) GTEST_SKIP() << "processes cannot be traced here";
      if (*code == test::SystemCallRecorder::kNoSuchCall) {
        EXPECT_GT(call, 40U);
        EXPECT_GE(failures, call / 4);  // opens and writes are tried again
        break;
      }
      SCOPED_TRACE(fmt::format("call {} fails: {}", call, std::strerror(error)));
      // That an old checkpoint cannot be removed is no failure.
      EXPECT_THAT(*code, testing::AnyOf(0, kDisk));
      failures += *code == kDisk ? 1 : 0;
      expect_old_or_new();
      if (HasFailure()) return;
    }
  }
}

TEST(SaveChild, DISABLED_NextStep) {
  std::_Exit(save_in_child(std::getenv("STREAMO_SAVE_TEST_DIR"), false));
}
TEST(SaveChild, DISABLED_SameStep) {
  std::_Exit(save_in_child(std::getenv("STREAMO_SAVE_TEST_DIR"), true));
}

}  // namespace
}  // namespace streamo::checkpoint
