// A published model whose tokenizer does not know the states: it gets them, and their rows are
// trained whatever is frozen. fp32 on the CPU; what must not change is compared bit for bit.
#include "run/model_directory.h"

#include <gtest/gtest.h>

#include "config/options.h"
#include "core/io/file.h"
#include "model/hf_directory.h"
#include "model/weights/safetensors.h"
#include "text/byte_level_fixture.h"
#include "train/model_setup.h"
#include "train/trainer.h"

namespace streamo::train {
namespace {

namespace fs = std::filesystem;
using torch::Tensor;

constexpr int64_t kKnown = text::kFirstAdded + 7;  // tokens: text, then chat and vision

// `spare` rows without a token, as published models have them.
fs::path write_published(const fs::path& folder, int64_t spare) {
  fs::create_directories(folder);
  text::write_text(folder / "tokenizer.json", text::small_tokenizer_json().dump());
  text::write_text(folder / "tokenizer_config.json", text::small_tokenizer_config().dump());
  const auto tokenizer = text::load_tokenizer(folder);
  const auto id = [&](std::string_view token) { return tokenizer->special_id(token); };
  model::write_preset("example",
                      {.vocab_size = kKnown + spare,
                       .image_token_id = id(text::kImagePad),
                       .video_token_id = id(text::kVideoPad),
                       .vision_start_token_id = id(text::kVisionStart),
                       .vision_end_token_id = id(text::kVisionEnd),
                       .eos_token_id = id(text::kImEnd),
                       .pad_token_id = id(text::kEndOfText)},
                      folder);
  const auto model = model::build_model(folder / "config.json");
  model::initialize_weights(*model, 1);
  model::write_safetensors(folder / "model.safetensors", model::named_weights(*model));
  return folder;
}

config::RunConfig run_config(const fs::path& model_dir, const fs::path& run_dir) {
  config::RunConfig config;
  config.model.path = model_dir;
  config.model.freeze_vision = config.model.freeze_merger = config.model.freeze_language = true;
  config.data.train = {STREAMO_SOURCE_DIR "/dataset/example/raw_data.json"};
  config.data.num_workers = 2;
  config.data.packing = false;
  config.optim.lr = 1e-2;
  config.optim.weight_decay = 0.1;
  config.train.max_steps = 2;
  config.train.num_threads = 1;
  config.checkpoint.dir = run_dir;
  config.log.tensorboard = false;
  return config;
}

class ModelDirectories : public testing::TestWithParam<int64_t> {
 protected:
  text::ScratchFolder scratch_;
};

TEST_P(ModelDirectories, StatesGetTheMeanOfTheKnownRows) {
  const fs::path published = write_published(scratch_ / "published", GetParam());
  const config::RunConfig config = run_config(published, scratch_ / "run");
  const data::SampleSource source = config::open_source(config, config.data.train, {});
  const run::ModelDirectory directory =
      run::prepare_model_directory(config, scratch_ / "run", source, /*write=*/true);
  EXPECT_EQ(directory.path, (scratch_ / "run") / "base");
  EXPECT_EQ(directory.new_token_ids, (std::vector<int64_t>{kKnown, kKnown + 1, kKnown + 2}));
  const auto tokenizer = text::load_tokenizer(directory.path);
  const auto special = text::SpecialTokens::resolve(*tokenizer);
  EXPECT_EQ(special.states[0], kKnown);

  const model::SafetensorsFile before(published / "model.safetensors");
  const auto model = load_model(config, directory, torch::kCPU);
  for (const char* name : {"model.embed_tokens.weight", "lm_head.weight"}) {
    const Tensor now = model::named_weights(*model).at(name).detach(), old = before.tensor(name);
    EXPECT_EQ(now.size(0), std::max(kKnown + GetParam(), kKnown + 3));
    EXPECT_TRUE(torch::equal(now.slice(0, 0, kKnown), old.slice(0, 0, kKnown)));
    const Tensor mean = old.slice(0, 0, kKnown).to(torch::kDouble).mean(0).to(torch::kFloat);
    for (const int64_t id : directory.new_token_ids)
      EXPECT_TRUE(torch::allclose(now[id], mean, 1e-6, 1e-8)) << name << " " << id;
  }
}

TEST_P(ModelDirectories, TheirRowsAreTrainedAndNothingElseIsWhenAllIsFrozen) {
  const fs::path published = write_published(scratch_ / "published", GetParam());
  const config::RunConfig config = run_config(published, scratch_ / "run");
  ASSERT_EQ(Trainer(config).run(), Outcome::kFinished);
  const fs::path final_dir = (scratch_ / "run") / "final";
  const model::SafetensorsFile before(published / "model.safetensors"),
      after(final_dir / "model.safetensors");
  ASSERT_EQ(before.names(), after.names());
  for (const std::string& name : before.names()) {
    const Tensor old = before.tensor(name), now = after.tensor(name);
    if (!name.ends_with("embed_tokens.weight") && !name.ends_with("lm_head.weight")) {
      EXPECT_TRUE(torch::equal(old, now)) << name;
      continue;
    }
    EXPECT_TRUE(torch::equal(old.slice(0, 0, kKnown), now.slice(0, 0, kKnown))) << name;
    const Tensor mean = old.slice(0, 0, kKnown).mean(0);
    for (int64_t id = kKnown; id < kKnown + 3; ++id)
      EXPECT_GT((now[id] - mean).abs().max().item<float>(), 1e-3F) << name << " " << id;
  }
  // A checkpoint can be exported by itself, in the layout of the directory the run began with.
  const fs::path saved = (scratch_ / "run") / "checkpoint-2", base = (scratch_ / "run") / "base";
  const auto model = model::build_model(saved / "config.json");
  EXPECT_EQ(model::check_weights(*model, saved).files, 1U);
  EXPECT_EQ(core::read_file(saved / "weight_layout.json"),
            core::read_file(base / "weight_layout.json"));
  // What was written is a model directory of its own: nothing is added a second time.
  const config::RunConfig again = run_config(final_dir, scratch_ / "again");
  const data::SampleSource source = config::open_source(again, again.data.train, {});
  EXPECT_TRUE(run::prepare_model_directory(again, scratch_ / "again", source, /*write=*/true)
                  .new_token_ids.empty());
}

INSTANTIATE_TEST_SUITE_P(SpareRows, ModelDirectories, testing::Values(0, 8));

}  // namespace
}  // namespace streamo::train
