// Whole small runs on the committed example clips: what is stopped and resumed is the run that
// never stopped.
#include "train/trainer.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "checkpoint/snapshot.h"
#include "core/io/file.h"
#include "model/weights/safetensors.h"
#include "streamo/core/error.h"

namespace streamo::train {
namespace {

namespace fs = std::filesystem;

class TrainerTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::remove_all(root_); }
  void TearDown() override { fs::remove_all(root_); }

  config::RunConfig config(const std::string& run) const {
    config::RunConfig config;
    config.model.preset = "example";
    config.model.vocab_size = 400;
    config.data.train = {STREAMO_SOURCE_DIR "/dataset/example/raw_data.json"};
    config.data.packing = false;
    config.data.num_workers = 2;
    config.optim.lr = 1e-3;
    config.train.max_steps = 6;
    config.train.micro_batch_size = 1;
    config.train.grad_accum_steps = 2;
    config.train.num_threads = 1;
    config.checkpoint.dir = root_ / run;
    config.checkpoint.every_steps = 1;
    config.checkpoint.keep = 100;
    config.log.every_steps = 1;
    config.log.tensorboard = false;
    return config;
  }

  static void train(const config::RunConfig& config) {
    Trainer trainer(config);
    ASSERT_EQ(trainer.run(), Outcome::kFinished);
  }

  std::map<int64_t, double> losses(const std::string& run) const {
    std::map<int64_t, double> found;
    std::ifstream lines(root_ / run / "metrics.jsonl");
    for (std::string line; std::getline(lines, line);) {
      const auto entry = nlohmann::json::parse(line);
      found[entry.at("step")] = entry.at("loss");
    }
    return found;
  }

  void expect_same_weights(const std::string& one, const std::string& other) const {
    const model::SafetensorsFile a(root_ / one / "final" / "model.safetensors");
    const model::SafetensorsFile b(root_ / other / "final" / "model.safetensors");
    ASSERT_EQ(a.names(), b.names());
    for (const std::string& name : a.names())
      EXPECT_TRUE(torch::equal(a.tensor(name), b.tensor(name))) << name;
  }

  // The run folder as a stop after `step` leaves it.
  void copy_stopped_run(const std::string& from, const std::string& to, int64_t step) const {
    fs::create_directories(root_ / to);
    for (const char* part : {"base", "metrics.jsonl"})
      fs::copy(root_ / from / part, root_ / to / part, kRecursive);
    const std::string checkpoint = "checkpoint-" + std::to_string(step);
    fs::copy(root_ / from / checkpoint, root_ / to / checkpoint, kRecursive);
  }

  static constexpr auto kRecursive = fs::copy_options::recursive;
  fs::path root_ = fs::path(::testing::TempDir()) / ("trainer_test_" + std::to_string(::getpid()));
};

TEST_F(TrainerTest, ResumingAfterAnyStepEqualsNeverStopping) {  // fp32 on the CPU: bit for bit
  train(config("whole"));
  const auto expected = losses("whole");
  ASSERT_EQ(expected.size(), 6U);
  for (const int64_t step : {1, 3, 5}) {
    const std::string run = "resumed-" + std::to_string(step);
    copy_stopped_run("whole", run, step);
    train(config(run));
    EXPECT_EQ(losses(run), expected) << "stopped after step " << step;
    expect_same_weights("whole", run);
  }
}

TEST_F(TrainerTest, TheNumberOfLoaderThreadsChangesNothing) {
  config::RunConfig one = config("one");
  one.data.num_workers = 1;
  one.data.frame_memory_mb = 0;
  one.train.max_steps = 3;
  config::RunConfig four = config("four");
  four.data.num_workers = 4;
  four.train.max_steps = 3;
  train(one);
  train(four);
  EXPECT_EQ(losses("one"), losses("four"));
  expect_same_weights("one", "four");
}

TEST_F(TrainerTest, LeavesTheCallersNumberOfThreadsAsItWas) {
  const int before = at::get_num_threads();
  config::RunConfig c = config("threads");
  c.train.num_threads = before + 1;
  c.train.max_steps = 1;
  {
    Trainer trainer(c);
    EXPECT_EQ(at::get_num_threads(), before + 1);
  }
  EXPECT_EQ(at::get_num_threads(), before);
}

TEST_F(TrainerTest, AccumulationAndPackingGiveTheGradientOfOneBatch) {
  // alpha per sample does not depend on how samples are grouped, so neither does the loss of the
  // first step (fp32: 1e-5 relative; sums are taken in another order).
  const auto first_loss = [&](const std::string& run, int64_t micro_batch_size,
                              int64_t accumulation, bool packing) {
    config::RunConfig c = config(run);
    c.loss.alpha_scope = "sample";
    c.train.max_steps = 2;
    c.train.micro_batch_size = micro_batch_size;
    c.train.grad_accum_steps = accumulation;
    c.data.packing = packing;
    train(c);
    return losses(run);
  };
  constexpr int64_t kSamples = 29;  // of the example: all of them in each step
  const auto apart = first_loss("apart", 1, kSamples, false),
             together = first_loss("together", kSamples, 1, false),
             packed = first_loss("packed", 1, 1, true);
  for (const int64_t step : {1, 2}) {
    EXPECT_NEAR(together.at(step), apart.at(step), 1e-5 * apart.at(step));
    EXPECT_NEAR(packed.at(step), apart.at(step), 1e-5 * apart.at(step));
  }
}

TEST_F(TrainerTest, GradientCheckpointingChangesNoBit) {
  config::RunConfig plain = config("plain"), recomputed = config("recomputed");
  plain.train.max_steps = recomputed.train.max_steps = 2;
  recomputed.model.gradient_checkpointing = true;
  train(plain);
  train(recomputed);
  EXPECT_EQ(losses("plain"), losses("recomputed"));
  expect_same_weights("plain", "recomputed");
}

TEST_F(TrainerTest, FrozenPartsKeepTheirWeights) {
  config::RunConfig c = config("frozen");
  c.model.freeze_vision = true;
  c.train.max_steps = 2;
  train(c);
  const model::SafetensorsFile before(root_ / "frozen/checkpoint-1/model.safetensors");
  const model::SafetensorsFile after(root_ / "frozen/final/model.safetensors");
  for (const std::string& name : after.names()) {
    const bool frozen = name.starts_with("visual.") && !name.starts_with("visual.merger.");
    EXPECT_EQ(torch::equal(before.tensor(name), after.tensor(name)), frozen) << name;
  }
}

// Two updates of Adam move no weight by much more than their rates.
TEST_F(TrainerTest, TheVisionTowerLearnsAtItsOwnRate) {
  config::RunConfig c = config("rates");
  c.train.max_steps = 2;
  c.optim.schedule = "constant";
  c.optim.warmup_ratio = 0;
  c.optim.weight_decay = 0;
  c.optim.vision_lr = c.optim.lr / 100;
  train(c);
  const model::SafetensorsFile before(root_ / "rates/checkpoint-1/model.safetensors");
  const model::SafetensorsFile after(root_ / "rates/final/model.safetensors");
  for (const std::string& name : after.names()) {
    const double moved = (after.tensor(name) - before.tensor(name)).abs().max().item<double>();
    const double lr = name.starts_with("visual.") ? c.optim.vision_lr : c.optim.lr;
    EXPECT_LT(moved, 2 * lr) << name;
    EXPECT_GT(moved, lr / 10) << name;
  }
}

TEST_F(TrainerTest, Bfloat16LearnsOnFloat32Masters) {
  config::RunConfig c = config("bf16");
  c.model.dtype = "bfloat16";
  c.train.max_steps = 4;
  train(c);
  const auto found = losses("bf16");
  EXPECT_LT(found.at(4), found.at(1));
  const model::SafetensorsFile state(root_ / "bf16/checkpoint-4/optimizer.safetensors");
  EXPECT_EQ(state.tensor("model.embed_tokens.weight.master").scalar_type(), torch::kFloat);
}

TEST_F(TrainerTest, AnotherConfigInTheRunFolderIsRefused) {
  config::RunConfig c = config("run");
  c.train.max_steps = 1;
  train(c);
  c.optim.lr = 5e-4;
  try {
    Trainer trainer(c);
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kConfig);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("optim.lr: 0.001 -> 0.0005"));
  }
}

TEST_F(TrainerTest, ADamagedCheckpointIsPassedOver) {
  config::RunConfig c = config("run");
  c.train.max_steps = 2;
  train(c);
  const auto expected = losses("run");
  core::write_file_atomic(root_ / "run/checkpoint-2/optimizer.safetensors", "damaged");
  fs::remove_all(root_ / "run/final");
  train(c);  // goes on from step 1
  EXPECT_EQ(losses("run"), expected);
}

// The record against the evaluations that the run wrote; the weights against the checkpoint of that
// step.
TEST_F(TrainerTest, TheBestModelIsKeptWhateverIsPruned) {
  config::RunConfig c = config("run");
  c.data.eval = c.data.train;
  c.eval.every_steps = 2;
  c.eval.max_samples = 4;
  c.eval.teacher_forced = true;
  c.eval.best_metric = "calibration.ece";  // of an untrained model it goes up and down
  train(c);
  const auto read = [&](const std::string& path) {
    return nlohmann::json::parse(core::read_file(root_ / "run" / path));
  };
  const auto record = read("best/best.json");
  EXPECT_EQ(record.at("metric"), "calibration.ece");
  for (const int64_t step : {2, 4}) {
    const double value = read("eval-" + std::to_string(step) + ".json").at("calibration").at("ece");
    EXPECT_GE(value, record.at("value").get<double>()) << step;
    if (record.at("step") == step) EXPECT_EQ(value, record.at("value"));
  }
  const std::string checkpoint = "checkpoint-" + record.at("step").dump();
  const model::SafetensorsFile kept(root_ / "run/best/model.safetensors");
  const model::SafetensorsFile then(root_ / "run" / checkpoint / "model.safetensors");
  for (const std::string& name : kept.names())
    EXPECT_TRUE(torch::equal(kept.tensor(name), then.tensor(name))) << name;
  EXPECT_TRUE(fs::exists(root_ / "run/best/streamo.json"));
}

}  // namespace
}  // namespace streamo::train
