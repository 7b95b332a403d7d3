// The speed of one training step, and of its matrix products alone. docs/performance.md.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bench/step_batch.h"
#include "bench/step_floor.h"
#include "core/io/file.h"
#include "core/process/memory.h"
#include "loss/streaming_loss.h"
#include "model/hf_directory.h"
#include "model/weights/safetensors.h"
#include "optim/adamw.h"
#include "parallel/local_reducer.h"
#include "train/model_inputs.h"

namespace streamo::bench {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using torch::Tensor;

constexpr uint64_t kSeed = 1;
constexpr double kLearningRate = 1e-5, kMaxNorm = 1.0;

struct Options {
  std::string config, folder, dtype = "float32";
  int64_t vocab = 8192;
  int steps = 3, warmup = 1;
  bool checkpointing = false, floor = false, write = false;
};

// Peak of the process so far, bytes.
int64_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

class Stopwatch {
 public:
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    return seconds;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// The config with the vocabulary asked for, in the folder that the model is then built from.
Json write_config(const Options& options) {
  Json config = Json::parse(core::read_file(options.config));
  config["vocab_size"] = options.vocab;
  config["dtype"] = options.dtype;
  fs::create_directories(options.folder);
  core::write_file_atomic(fs::path(options.folder) / "config.json", config.dump(2) + "\n");
  return config;
}

std::shared_ptr<model::VisionLanguageModel> make_model(const Options& options) {
  auto model = model::build_model(fs::path(options.folder) / "config.json");
  model::initialize_weights(*model, kSeed);
  model->to(options.dtype == "bfloat16" ? torch::kBFloat16 : torch::kFloat32);
  model->set_gradient_checkpointing(options.checkpointing);
  for (auto& item : model->named_parameters()) {
    item.value().set_requires_grad(model->parameter_part(item.key()) != model::Part::kVision);
  }
  return model;
}

// What another implementation needs to make the same step.
void write_exchange(const Options& options, model::VisionLanguageModel& model,
                    const data::MicroBatch& batch, const model::ModelInput& input) {
  const auto row = [](const auto& values) {
    return torch::tensor(std::vector<int64_t>(values.begin(), values.end()), torch::kLong);
  };
  std::vector<int64_t> grid;
  for (const model::ImageGrid& g : input.image_grid) grid.insert(grid.end(), {g.t, g.h, g.w});
  model::write_safetensors(fs::path(options.folder) / "model.safetensors",
                           model::named_weights(model));
  model::write_safetensors(fs::path(options.folder) / "batch.safetensors",
                           {{"input_ids", input.input_ids},
                            {"position_ids", input.position_ids},
                            {"pixel_values", input.pixel_values},
                            {"image_grid_thw", row(grid).view({-1, 3})},
                            {"rows", row(batch.rows)},
                            {"targets", row(batch.targets)},
                            {"states", row(batch.states)}});
}

// As train::Trainer makes a step of one micro-batch.
class Step {
 public:
  Step(model::VisionLanguageModel& model, const data::MicroBatch& batch)
      : model_(model),
        batch_(batch),
        loss_({}),
        reducer_(parameters(model)),
        optimizer_(reducer_, {}) {}

  double run(std::map<std::string, std::vector<double>>& seconds) {
    Stopwatch watch;
    const Tensor hidden = model_.forward(train::to_model_input(batch_, model_, torch::kCPU));
    seconds["forward"].push_back(watch.lap());
    const auto terms = loss_(train::supervised_rows(batch_, hidden), model_.lm_head_weight(),
                             static_cast<double>(batch_.targets.size()));
    seconds["loss"].push_back(watch.lap());
    terms.loss.backward();
    seconds["backward"].push_back(watch.lap());
    const parallel::Gradients gradients = reducer_.reduce();
    reducer_.clip_grad_norm(gradients, kMaxNorm);
    optimizer_.step(gradients.values, kLearningRate);
    reducer_.publish(gradients);
    seconds["optimizer"].push_back(watch.lap());
    return terms.loss.item<double>();
  }

 private:
  static std::vector<model::NamedParameter> parameters(model::VisionLanguageModel& model) {
    std::vector<model::NamedParameter> parameters;
    for (const auto& item : model.named_parameters()) {
      parameters.push_back({item.key(), item.value()});
    }
    return parameters;
  }

  model::VisionLanguageModel& model_;
  const data::MicroBatch& batch_;
  loss::StreamingLoss loss_;
  parallel::LocalReducer reducer_;
  optim::AdamW optimizer_;
};

StepShape shape_of(const Json& config, const data::MicroBatch& batch,
                   const model::ModelInput& input, bool checkpointing) {
  return {.tokens = input.input_ids.size(0),
          .patches = input.pixel_values.size(0),
          .pictures = static_cast<int64_t>(input.image_grid.size()),
          .supervised = static_cast<int64_t>(batch.targets.size()),
          .heads = config["num_attention_heads"],
          .kv_heads = config["num_key_value_heads"],
          .vision_heads = config["vision_config"]["num_heads"],
          .checkpointing = checkpointing};
}

// Steps and floors in turn, so that whatever else the machine does falls on both.
Json run(const Options& options) {
  core::disable_malloc_trim();
  const Json config = write_config(options);
  const auto model = make_model(options);
  const data::MicroBatch batch = make_step_batch(options.vocab, kSeed);
  StepShape shape;
  {
    const model::ModelInput input = train::to_model_input(batch, *model, torch::kCPU);
    shape = shape_of(config, batch, input, options.checkpointing);
    if (options.write) {
      write_exchange(options, *model, batch, input);
      return {{"written", options.folder}};
    }
  }
  Step step(*model, batch);
  std::map<std::string, std::vector<double>> parts, ignored;
  std::vector<double> losses, seconds, processor_seconds, floors;
  FloorSeconds floor;
  int64_t peak = 0;
  for (int i = 0; i < options.warmup + options.steps; ++i) {
    const bool counts = i >= options.warmup;
    const std::clock_t processor = std::clock();
    Stopwatch watch;
    losses.push_back(step.run(counts ? parts : ignored));
    const double taken = watch.lap();
    if (i <= options.warmup) peak = peak_memory();  // before the floor adds its own
    if (!counts) continue;
    seconds.push_back(taken);
    processor_seconds.push_back(static_cast<double>(std::clock() - processor) / CLOCKS_PER_SEC);
    if (options.floor) {
      floor = measure_floor(*model, shape);
      floors.push_back(floor.total());
    }
  }
  const double typical = median(seconds);
  Json result = {{"dtype", options.dtype},
                 {"vocab", options.vocab},
                 {"checkpointing", options.checkpointing},
                 {"threads", at::get_num_threads()},
                 {"tokens", shape.tokens},
                 {"supervised", shape.supervised},
                 {"seconds", typical},
                 {"processor_seconds", median(processor_seconds)},
                 {"tokens_per_second", static_cast<double>(shape.tokens) / typical},
                 {"peak_bytes", peak},
                 {"losses", losses}};
  for (const auto& [name, values] : parts) result["parts"][name] = median(values);
  if (options.floor) {
    result["floor"] = {{"seconds", median(floors)},
                       {"linear", floor.linear},
                       {"head", floor.head},
                       {"attention", floor.attention}};
    result["over_floor"] = typical / median(floors);
  }
  return result;
}

}  // namespace
}  // namespace streamo::bench

int main(int argc, char** argv) {
  streamo::bench::Options options;
  CLI::App app("Times training steps of a random Qwen2.5-VL; prints JSON. docs/performance.md");
  app.add_option("--config", options.config, "config.json of the model")->required();
  app.add_option("--folder", options.folder, "working folder")->required();
  app.add_option("--dtype", options.dtype)->check(CLI::IsMember({"float32", "bfloat16"}));
  app.add_option("--vocab", options.vocab, "rows of the embedding")->check(CLI::PositiveNumber);
  app.add_option("--steps", options.steps, "steps timed")->check(CLI::PositiveNumber);
  app.add_option("--warmup", options.warmup, "steps before them")->check(CLI::NonNegativeNumber);
  app.add_flag("--checkpointing", options.checkpointing, "gradient checkpointing");
  app.add_flag("--floor", options.floor, "also time the matrix products and attention alone");
  app.add_flag("--write", options.write, "only write config, weights and batch into the folder");
  CLI11_PARSE(app, argc, argv);
  try {
    std::cout << streamo::bench::run(options).dump(2) << std::endl;
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << std::endl;
    return 1;
  }
}
