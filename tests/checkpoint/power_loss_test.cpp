// A power cut during a save: its system calls are recorded and replayed up to each of them, with
// all that was not flushed missing, there, or there in another order. Whatever is left, the former
// checkpoint loads or the new one, and what carries a checkpoint's name is complete.
#include "support/power_loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/snapshot.h"
#include "core/io/file.h"
#include "core/io/scratch_folder.h"
#include "model/weights/safetensors.h"

namespace streamo::checkpoint {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

Snapshot make_snapshot(int64_t step, double value) {
  return {.step = step,
          .weights = {{"a", torch::full({2, 3}, value)}},
          .optimizer = {{"a.exp_avg", torch::full({2, 3}, -value)}},
          .trainer_state = {{"step", step}}};
}

class SavePowerLoss : public testing::Test {
 protected:
  void SetUp() override {
    core::write_file_atomic(root_ / "model/config.json", "{}");
    model::write_safetensors(root_ / "model/model.safetensors", {{"a", torch::zeros({4})}});
    fs::create_directory(disk_);
  }

  SnapshotStore store_in(const fs::path& disk) const {
    return SnapshotStore(disk / "run", root_ / "model", /*keep=*/1);
  }

  test::PowerLosses lose_power_in_save(const Snapshot& snapshot) const {
    const test::ModelDisk before(test::read_tree(disk_));
    const auto operations =
        test::SystemCallRecorder(disk_).record([&] { store_in(disk_).save(snapshot); });
    if (!operations) return {};
    EXPECT_GT(operations->size(), 40U);
    return test::power_losses(before, *operations);
  }

  // The value in what the next start goes on with; nullopt: there is no checkpoint.
  std::optional<double> value_after(const test::FileTree& state) const {
    const fs::path disk = root_ / "after";
    test::write_tree(state, disk);
    const NewestSnapshot newest = newest_sound_snapshot(disk / "run");
    EXPECT_THAT(newest.passed_over, IsEmpty()) << "what carries the final name is complete";
    if (!newest.path) return std::nullopt;
    if (fs::exists(disk / "run/latest")) {
      const std::string latest = core::read_file(disk / "run/latest");
      EXPECT_TRUE(fs::exists(disk / "run" / latest.substr(0, latest.size() - 1))) << latest;
    }
    return load_snapshot(*newest.path).weights.at("a").mean().item<double>();
  }
  std::set<std::optional<double>> values_after(const std::set<test::FileTree>& states) const {
    std::set<std::optional<double>> values;
    for (const test::FileTree& state : states) values.insert(value_after(state));
    return values;
  }

  core::ScratchFolder scratch_;
  fs::path root_ = scratch_.path(), disk_ = root_ / "disk";
};

TEST_F(SavePowerLoss, OfTheFirstSaveLeavesNothingOrAllOfIt) {
  const test::PowerLosses losses = lose_power_in_save(make_snapshot(1, 1));
  if (losses.moments == 0) GTEST_SKIP() << "processes cannot be traced here";
  EXPECT_THAT(values_after(losses.in_between), ElementsAre(std::nullopt, 1.0));
  EXPECT_THAT(values_after(losses.at_the_end), ElementsAre(1.0));
}

TEST_F(SavePowerLoss, OfALaterSaveLeavesTheFormerOneOrTheNew) {
  store_in(disk_).save(make_snapshot(1, 1));
  const test::PowerLosses losses = lose_power_in_save(make_snapshot(2, 2));
  if (losses.moments == 0) GTEST_SKIP() << "processes cannot be traced here";
  EXPECT_THAT(values_after(losses.in_between), ElementsAre(1.0, 2.0));
  EXPECT_THAT(values_after(losses.at_the_end), ElementsAre(2.0));
}

TEST_F(SavePowerLoss, OfASaveOverTheSameStepLeavesTheFormerOneOrTheNew) {
  store_in(disk_).save(make_snapshot(1, 1));
  const test::PowerLosses losses = lose_power_in_save(make_snapshot(1, 3));
  if (losses.moments == 0) GTEST_SKIP() << "processes cannot be traced here";
  EXPECT_THAT(values_after(losses.in_between), ElementsAre(1.0, 3.0));
  EXPECT_THAT(values_after(losses.at_the_end), ElementsAre(3.0));
}

}  // namespace
}  // namespace streamo::checkpoint
