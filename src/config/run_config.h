// All settings of a run: one JSON file, one schema.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/json/config_schema.h"
#include "parallel/shard_mode.h"
#include "streamo/data/context_window.h"
#include "streamo/text/special_tokens.h"

namespace streamo::config {

struct RunConfig {
  struct Model {
    std::string path, preset;
    std::string dtype = "float32";
    int64_t vocab_size = 512;
    bool freeze_vision = false, freeze_merger = false, freeze_language = false;
    std::vector<std::string> new_special_tokens = {text::kStateTokens.begin(),
                                                   text::kStateTokens.end()};
    bool gradient_checkpointing = false;
  } model;
  struct Data {
    std::vector<std::string> train, eval;
    std::string format = "auto", video_prefix, system_prompt, default_question;
    bool allow_outside_prefix = false;
    double fps = 1.0;
    int64_t min_pixels = 0, max_pixels = 0;
    std::string resize = "fast";
    int64_t max_length = 32768;
    std::string overlong = "split";
    data::ContextRule context = {};
    bool packing = true;
    int64_t num_workers = 4, seed = 0, frame_memory_mb = 256;
    std::string decoder = "thread";
    std::string frame_cache;
    double frame_cache_max_gb = 1000;
    int64_t frame_cache_quality = 0;
    double max_bad_fraction = 0.1, decode_timeout = 60;
  } data;
  struct Loss {
    double gamma = 2.0;
    std::string alpha_scope = "micro_batch";
  } loss;
  struct Optim {
    double lr = 1e-5, vision_lr = 0.0, eps = 1e-8, weight_decay = 0.0, warmup_ratio = 0.05,
           clip_grad_norm = 1.0;
    std::vector<double> betas = {0.9, 0.999};
    std::string decay = "matrices", schedule = "cosine";
  } optim;
  struct Train {
    int64_t epochs = 1, max_steps = 0, micro_batch_size = 1, grad_accum_steps = 1, seed = 0,
            num_threads = 0;
    bool deterministic = false;
    std::string nonfinite = "stop";
    int64_t max_nonfinite_skips = 10;
  } train;
  struct Parallel {
    std::string shard = "optimizer";
    int64_t shard_group_size = 0;
    double timeout = 0;

    parallel::ShardMode shard_mode() const { return parallel::parse_shard_mode(shard); }
    // Whether a run of so many ranks shards the blocks' weights.
    bool shards_blocks(int ranks) const {
      return ranks > 1 && parallel::traits(shard_mode()).shards_blocks;
    }
  } parallel;
  struct Checkpoint {
    std::string dir = "runs/run", resume = "auto";
    int64_t every_steps = 100, keep = 2;
  } checkpoint;
  struct Log {
    int64_t every_steps = 5;
    bool tensorboard = true;
  } log;
  struct Eval {
    int64_t every_steps = 0, max_samples = 0;
    bool teacher_forced = false;
    std::string best_metric = "macro_f1";
  } eval;
};

// The schema over `config`, which must outlive it.
core::ConfigSchema make_schema(RunConfig& config);

// File, then overrides; checks what concerns several keys. Throws core::Error{kConfig}.
RunConfig load_run_config(const std::filesystem::path& path,
                          const std::vector<std::string>& overrides);

}  // namespace streamo::config
