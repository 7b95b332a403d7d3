// Which settings a run may go on with when they differ: every key of the schema is on one list.
#include <gtest/gtest.h>

#include <set>

#include "config/run_config.h"
#include "run/run_folder.h"

namespace streamo::train {
namespace {

using Json = nlohmann::ordered_json;

// Speed, output, evaluation, and where things lie: the model that comes out is the same.
const std::set<std::string> kMayChange = {
    "model.gradient_checkpointing",
    "data.train",  // compared by what is in the files
    "data.eval",
    "data.video_prefix",
    "data.allow_outside_prefix",
    "data.num_workers",
    "data.decoder",
    "data.decode_timeout",
    "data.frame_memory_mb",
    "data.frame_cache",
    "data.frame_cache_max_gb",
    "data.max_bad_fraction",
    "train.grad_accum_steps",  // compared times the number of ranks
    "train.num_threads",
    "train.nonfinite",
    "train.max_nonfinite_skips",
    "parallel.shard",
    "parallel.timeout",
    "parallel.shard_group_size",
    "checkpoint.dir",
    "checkpoint.every_steps",
    "checkpoint.keep",
    "checkpoint.resume",
    "log.every_steps",
    "log.tensorboard",
    "eval.every_steps",
    "eval.max_samples",
    "eval.teacher_forced",
    "eval.best_metric"};
const std::set<std::string> kMakesAnotherRun = {"model.path",
                                                "model.preset",
                                                "model.vocab_size",
                                                "model.dtype",
                                                "model.freeze_vision",
                                                "model.freeze_merger",
                                                "model.freeze_language",
                                                "model.new_special_tokens",
                                                "data.format",
                                                "data.system_prompt",
                                                "data.default_question",
                                                "data.fps",
                                                "data.min_pixels",
                                                "data.max_pixels",
                                                "data.resize",
                                                "data.max_length",
                                                "data.overlong",
                                                "data.window_rounds",
                                                "data.window_overlap",
                                                "data.window_sinks",
                                                "data.packing",
                                                "data.frame_cache_quality",
                                                "data.seed",
                                                "loss.gamma",
                                                "loss.alpha_scope",
                                                "optim.lr",
                                                "optim.vision_lr",
                                                "optim.betas",
                                                "optim.eps",
                                                "optim.weight_decay",
                                                "optim.decay",
                                                "optim.warmup_ratio",
                                                "optim.schedule",
                                                "optim.clip_grad_norm",
                                                "train.epochs",
                                                "train.max_steps",
                                                "train.micro_batch_size",
                                                "train.seed",
                                                "train.deterministic"};

TEST(RunFolderSettings, EveryKeyIsFreeOrMakesAnotherRun) {
  config::RunConfig config;
  const core::ConfigSchema schema = config::make_schema(config);
  const Json before = schema.values();
  for (const std::string& key : schema.keys()) {
    Json now = before;
    const size_t dot = key.find('.');
    Json& value = now[key.substr(0, dot)][key.substr(dot + 1)];
    value = value.is_boolean()  ? Json(!value.get<bool>())
            : value.is_number() ? Json(value.get<double>() + 1)
            : value.is_string() ? Json(value.get<std::string>() + "x")
                                : Json{"another"};
    ASSERT_EQ(kMayChange.contains(key) + kMakesAnotherRun.contains(key), 1)
        << key << " is new: decide which, here and in run_folder.cpp";
    EXPECT_EQ(run::differences(before, now).size(), 1U) << key;
    const auto changes = run::run_changing_differences(before, now);
    ASSERT_EQ(changes.size(), kMakesAnotherRun.contains(key) ? 1U : 0U) << key;
    if (!changes.empty())
      EXPECT_EQ(changes[0], key + ": " + before[key.substr(0, dot)][key.substr(dot + 1)].dump() +
                                " -> " + value.dump());
  }
}

}  // namespace
}  // namespace streamo::train
