// What the trainer relies on: the state at the moment of the call is saved, however it changes
// afterwards; a failure is told, and the next save tries again.
#include "checkpoint/async_saver.h"

#include <gmock/gmock.h>
#include <sys/mount.h>
#include <unistd.h>

#include "core/io/file.h"
#include "model/weights/safetensors.h"

namespace streamo::checkpoint {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class AsyncSaverTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(root_);
    core::write_file_atomic(root_ / "model/config.json", "{}");
    model::write_safetensors(root_ / "model/model.safetensors", {{"a", torch::zeros({4})}});
    fs::create_directories(run_dir_);
  }
  void TearDown() override { fs::remove_all(root_); }

  static Snapshot make_snapshot(int64_t step, const torch::Tensor& weight) {
    return {.step = step,
            .weights = {{"a", weight}},
            .optimizer = {{"a.exp_avg", -weight}},
            .trainer_state = {{"step", step}}};
  }
  // A file in the place of the run folder: nothing can be saved there.
  void block() const {
    fs::rename(run_dir_, root_ / "away");
    core::write_file_atomic(run_dir_, "in the way");
  }
  void unblock() const {
    fs::remove(run_dir_);
    fs::rename(root_ / "away", run_dir_);
  }

  fs::path root_ = fs::path(::testing::TempDir()) / ("async_saver_" + std::to_string(::getpid()));
  fs::path run_dir_ = root_ / "run";
  SnapshotStore store_{run_dir_, root_ / "model", 10};
};

// The copy is what costs memory and time: what the saver alone holds needs none.
TEST_F(AsyncSaverTest, KeepsWhatIsNobodyElsesAndCopiesTheRest) {
  torch::Tensor shared = torch::ones({1 << 20}), given = torch::full({1 << 20}, 2.0F);
  const void* memory = given.data_ptr();
  {
    AsyncSaver saver(store_);
    Snapshot snapshot{.step = 1, .trainer_state = {{"step", 1}}};
    snapshot.weights["a"] = shared;
    snapshot.optimizer["a.exp_avg"] = shared.view({1024, 1024});  // the memory is still another's
    snapshot.optimizer["a.exp_avg_sq"] = std::move(given);
    saver.start(std::move(snapshot));
    shared.fill_(-1);
    const torch::Tensor next = torch::empty({1 << 20});  // would get the memory, were it free
    EXPECT_NE(next.data_ptr(), memory);
  }
  const Snapshot saved = load_snapshot(run_dir_ / "checkpoint-1");
  EXPECT_TRUE(saved.weights.at("a").eq(1).all().item<bool>());
  EXPECT_TRUE(saved.optimizer.at("a.exp_avg").eq(1).all().item<bool>());
  EXPECT_TRUE(saved.optimizer.at("a.exp_avg_sq").eq(2).all().item<bool>());
}

TEST_F(AsyncSaverTest, SavesTheStateOfTheMomentOfTheCall) {
  torch::Tensor weight = torch::zeros({1 << 20});
  {
    AsyncSaver saver(store_);
    for (int64_t step = 1; step <= 3; ++step) {
      weight.fill_(step);
      saver.start(make_snapshot(step, weight));
      weight.fill_(-1);  // what the next update does, while the thread writes
    }
  }  // waits
  for (int64_t step = 1; step <= 3; ++step) {
    const Snapshot saved = load_snapshot(run_dir_ / ("checkpoint-" + std::to_string(step)));
    EXPECT_TRUE(saved.weights.at("a").eq(step).all().item<bool>());
    EXPECT_TRUE(saved.optimizer.at("a.exp_avg").eq(-step).all().item<bool>());
  }
}

TEST_F(AsyncSaverTest, AFailureIsToldAndTheNextSaveTriesAgain) {
  AsyncSaver saver(store_);
  EXPECT_TRUE(saver.wait());
  block();
  saver.start(make_snapshot(1, torch::ones({4})));
  EXPECT_FALSE(saver.wait());
  EXPECT_FALSE(saver.wait()) << "until another save has succeeded";
  EXPECT_THROW(saver.require_saved(), core::Error);
  unblock();
  saver.start(make_snapshot(2, torch::ones({4})));
  EXPECT_TRUE(saver.wait());
  EXPECT_EQ(load_snapshot(run_dir_ / "checkpoint-2").step, 2);
}

TEST_F(AsyncSaverTest, ThreeFailuresInARowAreAnError) {
  AsyncSaver saver(store_);
  block();
  for (int64_t step = 1; step <= AsyncSaver::kFailuresInARow; ++step)
    EXPECT_NO_THROW(saver.start(make_snapshot(step, torch::ones({4}))));
  try {
    saver.start(make_snapshot(9, torch::ones({4})));
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kDisk);
  }
}

// A disk that is really full, where this process may mount one.
TEST_F(AsyncSaverTest, AFullDiskLeavesTheOlderCheckpoint) {
  if (::mount("tmpfs", run_dir_.c_str(), "tmpfs", 0, "size=3m") != 0)
    GTEST_SKIP() << "mounting a small disk is not permitted here";
  {
    AsyncSaver saver(store_);
    saver.start(make_snapshot(1, torch::ones({200'000})));  // 1.6 MB
    EXPECT_TRUE(saver.wait());
    saver.start(make_snapshot(2, torch::ones({200'000})));  // refused: 1.4 MB are free
    EXPECT_FALSE(saver.wait());
    try {
      saver.require_saved();
      ADD_FAILURE();
    } catch (const core::Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("1600000 bytes are needed"));
    }
    // Fits by its tensors; what comes with them does not.
    const auto left = static_cast<int64_t>(fs::space(run_dir_).available / 8 - 10);
    saver.start(make_snapshot(3, torch::ones({left})));
    EXPECT_FALSE(saver.wait());
    EXPECT_THROW(saver.require_saved(), core::Error);
    const auto [newest, passed_over] = newest_sound_snapshot(run_dir_);
    EXPECT_EQ(newest, run_dir_ / "checkpoint-1");
    EXPECT_TRUE(passed_over.empty());
    int entries = 0;  // checkpoint-1 and latest: nothing half-written fills the disk
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator(run_dir_)) ++entries;
    EXPECT_EQ(entries, 2);
  }
  EXPECT_EQ(::umount2(run_dir_.c_str(), MNT_DETACH), 0);
}

}  // namespace
}  // namespace streamo::checkpoint
