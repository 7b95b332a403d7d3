// The declaration of every setting (type, range, help), then the checks that involve more than one
// of them.
#include "config/run_config.h"

#include "eval/best_metric.h"
#include "stream/setting_ranges.h"
#include "streamo/core/error.h"
#include "streamo/text/chat_format.h"

namespace streamo::config {
namespace {

using core::a_path;
using core::at_least;
using core::between;
using core::ConfigSchema;
using core::one_of;

constexpr double kMaxCount = 1e9;         // of steps and samples: more is a slip of the finger
constexpr double kMaxFloat = 1e30;        // float32 ends at 3e38
constexpr double kBelowOne = 0.99999999;  // a moment that decays by 1 never moves

// Text that becomes part of each conversation.
core::Allowed plain_text(text::States states) {
  return {.complaint = [states](const std::string& text) {
    return text::complaint_about_text(text, states);
  }};
}

void describe_model(ConfigSchema& schema, RunConfig::Model& model) {
  schema.add("model.path", &model.path, "Hugging Face model directory to start from.", a_path());
  schema.add("model.preset", &model.preset,
             "Instead of a path: a model with random weights and a tokenizer trained on the run's "
             "own text.",
             one_of({"", "example"}));
  schema.add("model.vocab_size", &model.vocab_size, "Tokens of a preset's tokenizer.",
             between(300, 1 << 20));
  schema.add("model.dtype", &model.dtype,
             "Of weights and activations; bfloat16 keeps float32 masters.",
             one_of({"float32", "bfloat16"}));
  schema.add("model.freeze_vision", &model.freeze_vision,
             "Do not train the vision tower (the merger apart).");
  schema.add("model.freeze_merger", &model.freeze_merger, "Do not train the vision merger.");
  schema.add("model.freeze_language", &model.freeze_language,
             "Do not train the decoder, embeddings and head, but for the state tokens' rows.");
  schema.add("model.new_special_tokens", &model.new_special_tokens,
             "Special tokens that model.path's tokenizer gets if it lacks them.");
  schema.add("model.gradient_checkpointing", &model.gradient_checkpointing,
             "Recompute each block in the backward pass: less memory, a third more time.");
}

void describe_annotations(ConfigSchema& schema, RunConfig::Data& data) {
  schema.add("data.train", &data.train, "Annotation files to train on, raw or stream format.",
             a_path());
  schema.add("data.eval", &data.eval, "Annotation files to evaluate on.", a_path());
  schema.add("data.format", &data.format,
             "Of the annotation files; auto looks at each file's first record.",
             one_of({"auto", "raw", "stream"}));
  schema.add("data.video_prefix", &data.video_prefix,
             "Folder or URL of relative video paths; empty: the annotation file's folder.",
             core::a_path_or_url());
  schema.add("data.allow_outside_prefix", &data.allow_outside_prefix,
             "With a video_prefix: also take videos and pictures that lie outside it.");
  schema.add("data.system_prompt", &data.system_prompt,
             "Of raw annotations; empty: the built-in one.", plain_text(text::States::kNamed));
  schema.add("data.default_question", &data.default_question,
             "Asked at turn 0 of a raw annotation without question; empty: the built-in one.",
             plain_text(text::States::kRefused));
}

void describe_frames(ConfigSchema& schema, RunConfig::Data& data) {
  schema.add("data.fps", &data.fps, "Turns a second of video.", stream::fps_range());
  schema.add("data.min_pixels", &data.min_pixels,
             "Of a resized frame; 0: as the model directory says.", stream::pixel_limit_range());
  schema.add("data.max_pixels", &data.max_pixels,
             "Of a resized frame; 0: as the model directory says.", stream::pixel_limit_range());
  schema.add("data.resize", &data.resize,
             "Of video frames: fast, or exact: bit-equal to the image processor of transformers 5 "
             "on full-size RGB, a little slower. Pictures from files are always exact.",
             stream::resize_choices());
}

void describe_lengths(ConfigSchema& schema, RunConfig::Data& data) {
  schema.add("data.max_length", &data.max_length,
             "Tokens of one sample, and of one packed micro-batch.", between(16, 1 << 24));
  schema.add("data.overlong", &data.overlong,
             "Samples above max_length: drop, split into windows that carry the open question, or "
             "truncate.",
             one_of({"drop", "split", "truncate"}));
  schema.add("data.window_rounds", &data.context.max_rounds,
             "With overlong = split: rounds of a window at most, in training, evaluation and live "
             "(docs/live.md); 0: as many as max_length takes; evaluation and live then keep 120.",
             stream::round_count_range());
  schema.add("data.window_overlap", &data.context.overlap_rounds,
             "Rounds of the window before that a new one begins with; learnt from once.",
             stream::round_count_range());
  schema.add("data.window_sinks", &data.context.sink_rounds,
             "First rounds of the conversation that every window keeps.",
             stream::round_count_range());
  schema.add("data.packing", &data.packing,
             "Fill each micro-batch up to max_length tokens with whole samples; attention stays "
             "inside each.");
}

void describe_loading(ConfigSchema& schema, RunConfig::Data& data) {
  schema.add("data.num_workers", &data.num_workers, "Threads that decode ahead of training.",
             between(1, 1024));
  schema.add("data.decoder", &data.decoder,
             "Where files are decoded: thread, or process: each in a confined process, so that a "
             "file that crashes its decoder, or eats memory there, is one bad sample.",
             one_of({"thread", "process"}));
  schema.add("data.decode_timeout", &data.decode_timeout,
             "Seconds after which a video that does not get on is given up: a bad sample.",
             between(0.1, 86400));
  schema.add("data.frame_memory_mb", &data.frame_memory_mb,
             "Memory for resized frames that later samples of the same video reuse.",
             between(0, 1 << 24));
  schema.add("data.frame_cache", &data.frame_cache,
             "Folder that keeps resized frames on disk, for all runs and machines; empty: none. "
             "`streamo prepare` fills it.",
             a_path());
  schema.add("data.frame_cache_max_gb", &data.frame_cache_max_gb,
             "Its largest size; what was used longest ago goes first. 0: all but a twentieth of "
             "the disk.",
             between(0, 1e6));
  schema.add("data.frame_cache_quality", &data.frame_cache_quality,
             "0: frames are kept without loss; 1 to 100: as JPEG of that quality, which is what is "
             "then trained on.",
             between(0, 100));
  schema.add("data.seed", &data.seed, "Of the order of the samples.", at_least(0));
  schema.add("data.max_bad_fraction", &data.max_bad_fraction,
             "Share of samples that may be unusable before the run stops.", between(0, 1));
}

void describe_loss(ConfigSchema& schema, RunConfig::Loss& loss) {
  schema.add("loss.gamma", &loss.gamma, "Focusing exponent of the state tokens' focal loss.",
             between(0, 10));
  schema.add("loss.alpha_scope", &loss.alpha_scope,
             "Over what the states' class weights are counted.",
             one_of({"micro_batch", "sample", "running"}));
}

void describe_optimizer(ConfigSchema& schema, RunConfig::Optim& optim) {
  schema.add("optim.lr", &optim.lr, "Peak learning rate.", between(0, kMaxFloat));
  schema.add("optim.vision_lr", &optim.vision_lr,
             "Peak learning rate of the vision tower and its merger; 0: that of optim.lr.",
             between(0, kMaxFloat));
  schema.add("optim.betas", &optim.betas, "AdamW's decay rates of the two moments.",
             between(0, kBelowOne));
  schema.add("optim.eps", &optim.eps, "AdamW's epsilon.", between(1e-30, 1));
  schema.add("optim.weight_decay", &optim.weight_decay, "Decoupled weight decay.",
             between(0, kMaxFloat));
  schema.add(
      "optim.decay", &optim.decay,
      "What decays: matrices (no norms, no biases), all, or the rule of the transformers library.",
      one_of({"matrices", "all", "transformers"}));
  schema.add("optim.warmup_ratio", &optim.warmup_ratio,
             "Share of the steps with rising learning rate.", between(0, 1));
  schema.add("optim.schedule", &optim.schedule, "Of the learning rate after the warm-up.",
             one_of({"cosine", "linear", "constant"}));
  schema.add("optim.clip_grad_norm", &optim.clip_grad_norm,
             "Largest gradient norm; 0: no clipping.", between(0, kMaxFloat));
}

void describe_training(ConfigSchema& schema, RunConfig::Train& train) {
  schema.add("train.epochs", &train.epochs, "Passes over the data.", between(1, 10'000));
  schema.add("train.max_steps", &train.max_steps,
             "Stop after so many steps instead of epochs; 0: epochs count.", between(0, kMaxCount));
  schema.add("train.micro_batch_size", &train.micro_batch_size,
             "Samples of a micro-batch when data.packing is off.", between(1, 1 << 16));
  schema.add("train.grad_accum_steps", &train.grad_accum_steps,
             "Micro-batches of one optimizer step on each rank.", between(1, 1 << 16));
  schema.add("train.seed", &train.seed, "Of random initial weights.", at_least(0));
  schema.add("train.num_threads", &train.num_threads,
             "CPU threads of the arithmetic; 0: one a core, shared by the ranks of a machine.",
             between(0, 1024));
  schema.add("train.deterministic", &train.deterministic,
             "Sum gradients in an order that does not depend on the number of ranks: the same bits "
             "on 1, 2, 4 ... of them. Needs more memory, and leaves costs unbalanced.");
  schema.add("train.nonfinite", &train.nonfinite,
             "A loss or gradient that is not finite: stop, or skip that step.",
             one_of({"stop", "skip"}));
  schema.add("train.max_nonfinite_skips", &train.max_nonfinite_skips,
             "Steps in a row that train.nonfinite = skip leaves out; one more ends the run.",
             between(1, kMaxCount));
}

void describe_sharding(ConfigSchema& schema, RunConfig::Parallel& parallel) {
  schema.add("parallel.shard", &parallel.shard,
             "Sharding: none (DDP), optimizer (ZeRO-1: moments and master weights), full "
             "(ZeRO-3/FSDP: also the weights and gradients of all blocks).",
             one_of(parallel::shard_mode_names()));
  schema.add(
      "parallel.shard_group_size", &parallel.shard_group_size,
      "Ranks over which the parts are spread, a divisor of their number; each group of so many "
      "has all of them. 0: all ranks are one group.",
      between(0, 1 << 16));
}

void describe_patience(ConfigSchema& schema, RunConfig::Parallel& parallel) {
  schema.add("parallel.timeout", &parallel.timeout,
             "Seconds without progress after which a rank is held to hang and the run ends. 0: by "
             "itself, 30 s or 5 median steps in a step, 5 min or 3 times what it took before in "
             "other work.",
             between(0, 604800));
}

void describe_outputs(ConfigSchema& schema, RunConfig& config) {
  schema.add("checkpoint.dir", &config.checkpoint.dir,
             "Run folder: metrics, checkpoints, report, final model.", a_path());
  schema.add("checkpoint.every_steps", &config.checkpoint.every_steps,
             "Steps between checkpoints; 0: only at the end.", between(0, kMaxCount));
  schema.add("checkpoint.keep", &config.checkpoint.keep, "Newest checkpoints that are kept.",
             between(1, kMaxCount));
  schema.add("checkpoint.resume", &config.checkpoint.resume,
             "auto: go on from the newest sound checkpoint of the run folder; none: refuse a "
             "folder that has some; else the path of a checkpoint.");
  schema.add("log.every_steps", &config.log.every_steps, "Steps between lines of metrics.",
             between(1, kMaxCount));
  schema.add("log.tensorboard", &config.log.tensorboard, "Write TensorBoard events.");
}

std::vector<std::string> best_metric_choices() {
  std::vector<std::string> names = eval::best_metric_names();
  names.emplace_back("");
  return names;
}

void describe_evaluation(ConfigSchema& schema, RunConfig::Eval& eval) {
  schema.add("eval.every_steps", &eval.every_steps,
             "Steps between evaluations on data.eval; 0: only after the last step.",
             between(0, kMaxCount));
  schema.add("eval.max_samples", &eval.max_samples,
             "Samples of an evaluation during training; 0: all. The last one is always on all.",
             between(0, kMaxCount));
  schema.add("eval.teacher_forced", &eval.teacher_forced,
             "Evaluate on the true history instead of the model's own outputs.");
  schema.add("eval.best_metric", &eval.best_metric,
             "The model with the best value of this number of an evaluation is kept in best/; "
             "empty: none. Needs eval.every_steps.",
             one_of(best_metric_choices()));
}

[[noreturn]] void refuse(const std::string& what, const std::string& hint) {
  throw core::Error(core::ErrorKind::kConfig, what, "", hint);
}

void check_optimizer(const RunConfig& config) {
  const RunConfig::Optim& optim = config.optim;
  if (optim.vision_lr > 0 && optim.lr == 0) {
    refuse("optim.vision_lr follows the schedule of optim.lr, which is 0",
           "give optim.lr a value; model.freeze_language trains the vision tower alone");
  }
  if (optim.lr == 0) refuse("optim.lr is 0, so nothing would be learnt", "give it a value");
  if (optim.vision_lr > 0 && config.model.freeze_vision && config.model.freeze_merger) {
    refuse("optim.vision_lr is set, and vision tower and merger are frozen",
           "train one of them, or leave the key out");
  }
}

void check_evaluation(const RunConfig::Eval& eval) {
  const std::string& metric = eval.best_metric;
  if (eval.every_steps == 0 && !metric.empty() && metric != RunConfig::Eval().best_metric) {
    refuse("eval.best_metric is set, and nothing is evaluated during training",
           "set eval.every_steps");
  }
}

void check_together(const RunConfig& config) {
  if (config.model.path.empty() == config.model.preset.empty()) {
    refuse("exactly one of model.path and model.preset must be set",
           "set model.path to a model directory");
  }
  if (config.data.train.empty()) refuse("data.train is empty", "name at least one annotation file");
  if (config.data.max_pixels > 0 && config.data.min_pixels > config.data.max_pixels) {
    refuse("data.min_pixels is larger than data.max_pixels", "swap them");
  }
  data::check_context(config.data.context, "data.window_rounds, window_overlap, window_sinks");
  if (config.eval.every_steps > 0 && config.data.eval.empty()) {
    refuse("eval.every_steps is set and data.eval is empty",
           "name an annotation file to evaluate on");
  }
  check_optimizer(config);
  check_evaluation(config.eval);
  if (!config.model.preset.empty() &&
      config.model.new_special_tokens != RunConfig().model.new_special_tokens) {
    refuse("model.new_special_tokens is for a model.path, and this is a preset",
           "a preset's tokenizer is trained with the state tokens; leave the key out");
  }
}

}  // namespace

core::ConfigSchema make_schema(RunConfig& config) {
  core::ConfigSchema schema;
  describe_model(schema, config.model);
  describe_annotations(schema, config.data);
  describe_frames(schema, config.data);
  describe_lengths(schema, config.data);
  describe_loading(schema, config.data);
  describe_loss(schema, config.loss);
  describe_optimizer(schema, config.optim);
  describe_training(schema, config.train);
  describe_sharding(schema, config.parallel);
  describe_patience(schema, config.parallel);
  describe_outputs(schema, config);
  describe_evaluation(schema, config.eval);
  return schema;
}

RunConfig load_run_config(const std::filesystem::path& path,
                          const std::vector<std::string>& overrides) {
  RunConfig config;
  core::ConfigSchema schema = make_schema(config);
  schema.load_file(path);
  schema.apply_overrides(overrides);
  check_together(config);
  return config;
}

}  // namespace streamo::config
