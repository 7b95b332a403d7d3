// Builds the model without reading weights, indexes the data as a run would, and looks for the
// micro-batch of an epoch that needs the most memory.
#include "estimate/run_estimate.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>

#include "config/options.h"
#include "model/hf_directory.h"
#include "run/model_directory.h"
#include "train/work_division.h"

namespace streamo::estimate {
namespace {

void add_epoch(const config::RunConfig& config, const model::VisionLanguageModel& model,
               const data::Index& index, RunEstimate& plan) {
  plan.items = static_cast<int64_t>(index.items.size());
  plan.tokens = index.total_tokens;
  plan.frames = index.total_frames;
  for (const data::Item& item : index.items) {
    plan.visual_tokens += item.visual_tokens;
    plan.supervised_tokens += item.supervised;
    const model::Flops forward = model.forward_flops(train::item_workload(item));
    plan.flops += model::training_flops(forward, train::trained_parts(config.model, false));
    plan.executed_flops += model::training_flops(
        forward, train::trained_parts(config.model, config.model.gradient_checkpointing));
  }
}

// The micro-batch, of any rank, that takes most memory. Of the first epoch: others deal the same
// items anew.
void add_steps(const config::RunConfig& config, const model::VisionLanguageModel& model,
               const data::Index& index, RunEstimate& plan, StepShape& shape) {
  const std::vector<data::PlanItem> items = train::plan_items(index, model, config.model);
  data::PlanOptions options = config::plan_options(config, 0, plan.gpus);
  plan.total_steps = data::Plan(items, options).total_steps();
  plan.micro_batches = options.micro_batches_of_step();
  options.grad_accum_steps *= options.world_size;  // one rank that does all
  options.world_size = 1;
  options.epochs = 1;
  options.max_steps = 0;
  data::Plan epoch(items, options);
  plan.epoch_steps = epoch.total_steps();
  const model::Training training =
      train::trained_parts(config.model, config.model.gradient_checkpointing);
  double most = -1;
  for (int64_t step = 0; step < plan.epoch_steps; ++step) {
    for (const data::MicroBatchPlan& micro_batch : epoch.step(step).micro_batches) {
      model::Workload work;
      for (const size_t item : micro_batch.items) {
        const model::Workload more = train::item_workload(index.items[item]);
        work.tokens += more.tokens;
        work.supervised_tokens += more.supervised_tokens;
        work.visual_tokens += more.visual_tokens;
      }
      const model::Activations activations = model.activations(work, training);
      const double held = activations.vision.kept + activations.decoder.kept +
                          activations.decoder.backward + activations.pixels;
      if (held <= most) continue;
      most = held;
      plan.longest = work.tokens;
      shape.activations = activations;
      shape.tokens = static_cast<double>(work.tokens);
      shape.supervised_tokens = static_cast<double>(work.supervised_tokens);
    }
  }
}

}  // namespace

RunEstimate estimate_run(const config::RunConfig& config, int gpus,
                         const std::filesystem::path& scratch) {
  const int group_size = train::shard_group_size(config.parallel, gpus);
  data::SampleSource source = config::open_source(config, config.data.train, /*model_dir=*/{});
  const run::ModelDirectory directory =
      run::prepare_model_directory(config, scratch, source, /*write=*/true);
  const std::unique_ptr<text::Tokenizer> tokenizer = text::load_tokenizer(directory.path);
  const text::ChatFormat chat(*tokenizer);
  const auto model = model::build_model(directory.path / "config.json");
  source.set_pixel_limits(config::pixel_limits(config, directory.path));
  data::SampleReport report;
  const data::Index index = data::build_index(
      source, chat, config::index_options(config, model->pixels_per_token_side()), report);
  report.check_fraction(config.data.max_bad_fraction, source.size());

  RunEstimate plan{.gpus = gpus, .configured_shard = config.parallel.shard_mode()};
  plan.samples = static_cast<int64_t>(source.size());
  plan.skipped = report.size();
  plan.parameters = count_parameters(config, *model, chat.special());
  StepShape shape{.micro_batches = config.train.grad_accum_steps,
                  .deterministic = config.train.deterministic,
                  .bytes_each = config.model.dtype == "bfloat16" ? 2.0 : 4.0,
                  .hidden_size = static_cast<double>(model->lm_head_weight().size(1))};
  add_epoch(config, *model, index, plan);
  add_steps(config, *model, index, plan, shape);
  for (const parallel::ShardModeTraits& mode : parallel::kShardModes) {
    shape.shard = mode.mode;
    shape.ranks = mode.shards_optimizer ? group_size : gpus;
    shape.groups = gpus / shape.ranks;
    plan.modes.push_back({mode.mode, estimate_memory(plan.parameters, shape),
                          gpus == 1 ? 0 : estimate_communication(plan.parameters, shape)});
  }
  return plan;
}

bool fits(const MemoryEstimate& memory, const Hardware& hardware) {
  return memory.peak() <= kUsableMemory * hardware.memory_bytes;
}

namespace {

std::string short_number(double value) {
  for (const auto& [unit, size] :
       {std::pair{"E", 1e18}, {"P", 1e15}, {"T", 1e12}, {"G", 1e9}, {"M", 1e6}}) {
    if (value >= size) return fmt::format("{:.3g} {}", value / size, unit);
  }
  return fmt::format("{:.0f} ", value);
}

std::string describe_time(const RunEstimate& plan, const Hardware& hardware) {
  const double epochs =
      static_cast<double>(plan.total_steps) / static_cast<double>(plan.epoch_steps);
  const double gpu_hours = plan.flops * epochs / (hardware.peak_flops * hardware.mfu) / 3600;
  return fmt::format(
      "time      {} steps, {:.3g} epochs: {:.3g} h on {} GPUs, {:.3g} GPU-hours, at {:.0f} % of "
      "{:.4g} "
      "TFLOP/s\n",
      plan.total_steps, epochs, gpu_hours / plan.gpus, plan.gpus, gpu_hours, 100 * hardware.mfu,
      hardware.peak_flops / 1e12);
}

}  // namespace

std::string describe(const RunEstimate& plan, const Hardware& hardware) {
  std::string text = fmt::format(
      "model     {}parameters, {}trained\n"
      "data      {} samples in {} items, {} skipped\n"
      "epoch     {} tokens ({} of {} pictures, {} supervised), {}FLOP ({}FLOP with "
      "what is computed again)\n"
      "step      {} micro-batches, {} on each of {} GPUs; {} steps an epoch; at most {} tokens in "
      "a "
      "micro-batch\n",
      short_number(plan.parameters.all), short_number(plan.parameters.trained), plan.samples,
      plan.items, plan.skipped, plan.tokens, plan.visual_tokens, plan.frames,
      plan.supervised_tokens, short_number(plan.flops), short_number(plan.executed_flops),
      plan.micro_batches, plan.micro_batches / plan.gpus, plan.gpus, plan.epoch_steps,
      plan.longest);
  text += describe_time(plan, hardware);
  const auto row = [&](const char* name,
                       const std::function<std::string(const RunEstimate::Mode&)>& of) {
    text += fmt::format("{:38}", name);
    for (const RunEstimate::Mode& mode : plan.modes) text += fmt::format("{:>12}", of(mode));
    text += "\n";
  };
  const auto gigabytes = [&](const char* name, double (*of)(const RunEstimate::Mode&)) {
    row(name,
        [of](const RunEstimate::Mode& mode) { return fmt::format("{:.3f}", of(mode) / 1e9); });
  };
  using Mode = RunEstimate::Mode;
  row("\nGB a GPU, by parallel.shard",
      [](const Mode& mode) { return std::string(parallel::traits(mode.shard).name); });
  gigabytes("weights", [](const Mode& mode) { return mode.memory.weights; });
  gigabytes("gradients", [](const Mode& mode) { return mode.memory.gradients; });
  gigabytes("moments and master weights", [](const Mode& mode) { return mode.memory.optimizer; });
  gigabytes("activations", [](const Mode& mode) { return mode.memory.activations; });
  gigabytes("whole blocks, at work", [](const Mode& mode) { return mode.memory.blocks_in_flight; });
  gigabytes("loss", [](const Mode& mode) { return mode.memory.loss; });
  gigabytes("room to exchange", [](const Mode& mode) { return mode.memory.exchange; });
  gigabytes("peak while computing", [](const Mode& mode) { return mode.memory.computing; });
  gigabytes("peak while updating", [](const Mode& mode) { return mode.memory.updating; });
  gigabytes("host memory to save, first rank", [](const Mode& mode) { return mode.memory.saving; });
  row(fmt::format("fits {:.4g} GB", hardware.memory_bytes / 1e9).c_str(),
      [&](const Mode& mode) { return std::string(fits(mode.memory, hardware) ? "yes" : "no"); });
  gigabytes("sent by each GPU in a step", [](const Mode& mode) { return mode.traffic; });
  return text;
}

}  // namespace streamo::estimate
