#include "checkpoint/snapshot.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <random>

#include "core/io/file.h"
#include "model/weights/safetensors.h"

namespace streamo::checkpoint {
namespace {

namespace fs = std::filesystem;

class SnapshotTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(root_);
    core::write_file_atomic(model_dir_ / "config.json", "{}");
    core::write_file_atomic(model_dir_ / "tokenizer.model", "pieces");
    // Must not be copied; how its weights are stored is remembered.
    model::write_safetensors(model_dir_ / "model.safetensors",
                             {{"model.visual.b", torch::zeros({4}, torch::kHalf)}});
  }
  void TearDown() override { fs::remove_all(root_); }

  static Snapshot snapshot_at(int64_t step) {
    const auto value = static_cast<double>(step);
    return {.step = step,
            .weights = {{"a.weight", torch::full({2, 3}, value)},
                        {"b", torch::full({4}, value, torch::kBFloat16)}},
            .optimizer = {{"a.weight.exp_avg", torch::full({2, 3}, -value)}},
            .trainer_state = {{"step", step}, {"note", "x"}}};
  }

  fs::path root_ = fs::path(::testing::TempDir()) / ("snapshot_test_" + std::to_string(::getpid()));
  fs::path model_dir_ = root_ / "model", run_dir_ = root_ / "run";
  SnapshotStore store_{run_dir_, model_dir_, 2};
};

TEST_F(SnapshotTest, ReadsBackWhatItSaved) {
  store_.save(snapshot_at(7));
  const auto newest = newest_sound_snapshot(run_dir_).path;
  ASSERT_TRUE(newest);
  EXPECT_EQ(newest->filename(), "checkpoint-7");
  const Snapshot back = load_snapshot(*newest);
  EXPECT_EQ(back.step, 7);
  EXPECT_EQ(back.trainer_state["note"], "x");
  EXPECT_TRUE(torch::equal(back.weights.at("a.weight"), snapshot_at(7).weights["a.weight"]));
  EXPECT_TRUE(torch::equal(back.weights.at("b"), snapshot_at(7).weights["b"]));
  EXPECT_EQ(back.weights.at("b").scalar_type(), torch::kBFloat16);
  EXPECT_TRUE(torch::equal(back.optimizer.at("a.weight.exp_avg"), torch::full({2, 3}, -7.0)));
  EXPECT_EQ(core::read_file(*newest / "tokenizer.model"), "pieces");
  EXPECT_THAT(core::read_file(*newest / "weight_layout.json"),
              testing::HasSubstr(R"(["model.visual.b","F16"])"));
}

TEST_F(SnapshotTest, KeepsTheNewest) {
  for (const int64_t step : {5, 10, 9, 100}) store_.save(snapshot_at(step));
  const auto all = snapshots_in(run_dir_);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].filename(), "checkpoint-100");
  EXPECT_EQ(all[1].filename(), "checkpoint-10");
}

// The process died between publishing a checkpoint and what comes after.
TEST_F(SnapshotTest, ASaveThatWasInterruptedIsFinished) {
  SnapshotStore(run_dir_, model_dir_, 10).save(snapshot_at(5));
  SnapshotStore(run_dir_, model_dir_, 10).save(snapshot_at(6));
  SnapshotStore(run_dir_, model_dir_, 10).save(snapshot_at(7));
  core::write_file_atomic(run_dir_ / "latest", "checkpoint-6\n");
  store_.finish_save(7);
  EXPECT_EQ(core::read_file(run_dir_ / "latest"), "checkpoint-7\n");
  EXPECT_EQ(snapshots_in(run_dir_).size(), 2U);
}

// Damage of every kind to every file: noticed, named, and the older checkpoint taken.
TEST_F(SnapshotTest, PassesOverADamagedCheckpointAndSaysWhy) {
  for (const char* name : {"model.safetensors", "optimizer.safetensors", "trainer_state.json",
                           "manifest.json", "tokenizer.model", "config.json"}) {
    for (const std::string damage : {"flip", "truncate", "remove"}) {
      SetUp();
      store_.save(snapshot_at(1));
      store_.save(snapshot_at(2));
      const fs::path file = run_dir_ / "checkpoint-2" / name;
      std::string content = core::read_file(file);
      if (damage == "remove") {
        fs::remove(file);
      } else {
        if (damage == "flip")
          content[content.size() / 2] = static_cast<char>(content[content.size() / 2] ^ 1);
        if (damage == "truncate") content.pop_back();
        core::write_file_atomic(file, content);
      }
      EXPECT_THROW(load_snapshot(run_dir_ / "checkpoint-2"), core::Error);
      const NewestSnapshot newest = newest_sound_snapshot(run_dir_);
      ASSERT_TRUE(newest.path) << name << " " << damage;
      EXPECT_EQ(newest.path->filename(), "checkpoint-1") << name << " " << damage;
      ASSERT_EQ(newest.passed_over.size(), 1U);
      EXPECT_THAT(newest.passed_over[0].reason, ::testing::HasSubstr("checkpoint-2"));
      set_aside(newest.passed_over[0].path, "damaged-");
      EXPECT_FALSE(fs::exists(run_dir_ / "checkpoint-2"));
      EXPECT_TRUE(fs::exists(run_dir_ / "damaged-checkpoint-2"));
    }
  }
}

// Somebody else's, or what is left of a disk: passed over like any damaged one.
TEST_F(SnapshotTest, PassesOverAHostileManifest) {
  store_.save(snapshot_at(1));
  for (const std::string& manifest :
       {std::string(1'000'000, '['), "{\"files\": " + std::string(1'000'000, '['),
        "{\"" + std::string(1 << 20, 'k') + "\": 1}", std::string("[]"), std::string("{}"),
        std::string("{\"format\": {}, \"files\": []}"), std::string("\0{}", 3), std::string()}) {
    store_.save(snapshot_at(2));
    std::ofstream(run_dir_ / "checkpoint-2/manifest.json", std::ios::binary) << manifest;
    const NewestSnapshot newest = newest_sound_snapshot(run_dir_);
    ASSERT_TRUE(newest.path);
    EXPECT_EQ(newest.path->filename(), "checkpoint-1");
    ASSERT_EQ(newest.passed_over.size(), 1u);
    EXPECT_LT(newest.passed_over[0].reason.size(), 1000u);
    fs::remove_all(run_dir_ / "checkpoint-2");
  }
}

// Of a user: notes under such a name, and a copy of a checkpoint of ours.
TEST_F(SnapshotTest, WhatItDidNotWriteIsLeftAlone) {
  store_.save(snapshot_at(5));
  fs::create_directory(run_dir_ / "checkpoint-7");
  core::write_file_atomic(run_dir_ / "checkpoint-7/notes.txt", "mine");
  fs::copy(run_dir_ / "checkpoint-5", run_dir_ / "checkpoint-9");
  const NewestSnapshot newest = newest_sound_snapshot(run_dir_);
  ASSERT_TRUE(newest.path);
  EXPECT_EQ(newest.path->filename(), "checkpoint-5");
  ASSERT_EQ(newest.passed_over.size(), 2U);
  for (const auto& [path, reason] : newest.passed_over) set_aside(path, "damaged-");
  for (const int64_t step : {7, 9}) {
    try {
      store_.save(snapshot_at(step));
      ADD_FAILURE();
    } catch (const core::Error& error) {
      EXPECT_EQ(error.kind(), core::ErrorKind::kDisk);
      EXPECT_THAT(error.what(), ::testing::HasSubstr("was not written by this program"));
    }
  }
  for (const int64_t step : {10, 11, 12}) store_.save(snapshot_at(step));
  EXPECT_EQ(snapshots_in(run_dir_).size(), 2U);
  EXPECT_EQ(core::read_file(run_dir_ / "checkpoint-7/notes.txt"), "mine");
  EXPECT_TRUE(fs::exists(run_dir_ / "checkpoint-9/model.safetensors"));
}

// Of an older or newer program: neither passed over as if it were damaged, nor begun anew.
TEST_F(SnapshotTest, AnotherFormatIsRefused) {
  store_.save(snapshot_at(5));
  const fs::path manifest = run_dir_ / "checkpoint-5/manifest.json";
  auto content = nlohmann::ordered_json::parse(core::read_file(manifest));
  content["format"] = 99;
  core::write_file_atomic(manifest, content.dump(2) + "\n");
  try {
    newest_sound_snapshot(run_dir_);
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kCheckpoint);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("format 99, this program reads 2"));
  }
}

TEST_F(SnapshotTest, AMissingCheckpointIsNamed) {
  try {
    load_snapshot(run_dir_ / "checkpoint-3");
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kCheckpoint);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("checkpoint-3"));
  }
}

// Of later steps, as they lie there after a run went on from an earlier checkpoint.
TEST_F(SnapshotTest, TheOneJustSavedIsNeverRemoved) {
  for (const int64_t step : {100, 90}) store_.save(snapshot_at(step));
  store_.save(snapshot_at(50));
  EXPECT_EQ(load_snapshot(run_dir_ / "checkpoint-50").step, 50);
  EXPECT_EQ(core::read_file(run_dir_ / "latest"), "checkpoint-50\n");
}

TEST_F(SnapshotTest, ReasonsWithBytesThatAreNoTextAreSaved) {
  Snapshot snapshot = snapshot_at(1);
  snapshot.trainer_state["skipped"]["a"] = "\xff.mp4: cannot open";
  store_.save(snapshot);
  EXPECT_EQ(load_snapshot(run_dir_ / "checkpoint-1").trainer_state["skipped"]["a"],
            "\uFFFD.mp4: cannot open");
}

// 500 copies of one checkpoint, each with a file of it cut off, or one bit of it flipped, at a
// place drawn at random (seeded): load_snapshot refuses each, and says which file.
TEST_F(SnapshotTest, NoDamageIsLoaded) {
  store_.save(snapshot_at(2));
  const fs::path checkpoint = run_dir_ / "checkpoint-2";
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(checkpoint)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  ASSERT_EQ(files.size(), 7U);
  std::mt19937_64 random(6);
  for (size_t i = 0; i < 500; ++i) {
    const fs::path& file = files[i % files.size()];
    const std::string whole = core::read_file(file);
    std::string damaged = whole;
    const size_t at = random() % whole.size();
    const bool cut = random() % 2 == 0;
    if (cut) {
      damaged.resize(at);
    } else {
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << (random() % 8)));
    }
    core::write_file_atomic(file, damaged);
    try {
      load_snapshot(checkpoint);
      ADD_FAILURE() << file << (cut ? " cut at " : " flipped at ") << at << " is not noticed";
    } catch (const core::Error& error) {
      EXPECT_EQ(error.kind(), core::ErrorKind::kCheckpoint);
      // A name that changed in the manifest is a file that is missing.
      if (file.filename() != "manifest.json") {
        EXPECT_THAT(error.what(), testing::HasSubstr(file.filename().string()));
      }
    }
    core::write_file_atomic(file, whole);
  }
  EXPECT_EQ(load_snapshot(checkpoint).step, 2);
}

}  // namespace
}  // namespace streamo::checkpoint
