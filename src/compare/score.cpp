// Runs one sample through forward, loss, backward, optimizer steps and greedy decoding, and keeps
// every tensor another implementation can be compared on.
#include "compare/score.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "config/options.h"
#include "core/io/scratch_folder.h"
#include "core/json/json.h"
#include "data/samples/training_example.h"
#include "loss/streaming_loss.h"
#include "model/hf_directory.h"
#include "optim/adamw.h"
#include "optim/lr_schedule.h"
#include "parallel/local_reducer.h"
#include "run/model_directory.h"
#include "streamo/core/error.h"
#include "streamo/stream/model_bundle.h"
#include "train/model_inputs.h"
#include "train/model_setup.h"

namespace streamo::compare {
namespace {

namespace fs = std::filesystem;
using torch::Tensor;
using Tensors = std::map<std::string, Tensor>;

data::Example read_example(const data::SampleSource& source, int64_t index,
                           const text::ChatFormat& chat, int64_t token_side) {
  if (index < 0 || static_cast<size_t>(index) >= source.size()) {
    throw core::Error(core::ErrorKind::kUsage, "there is no sample " + std::to_string(index),
                      "--index", "the file has samples 0 to " + std::to_string(source.size() - 1));
  }
  auto sample = source.load(static_cast<size_t>(index));
  if (!sample) throw core::Error(core::ErrorKind::kData, sample.reason());
  const bool open = sample->conversation.messages.back().role == "user";
  data::Example example = data::tokenize(*std::move(sample), chat, token_side);
  if (open) {
    const auto prompt = chat.assistant_prompt();
    example.input_ids.insert(example.input_ids.end(), prompt.begin(), prompt.end());
  }
  return example;
}

// The tokens that end a text: eos_token_id of generation_config.json, else of config.json; a number
// or a list.
std::set<int64_t> end_tokens(const fs::path& model_dir) {
  for (const char* name : {"generation_config.json", "config.json"}) {
    if (!fs::exists(model_dir / name)) continue;
    const auto json = core::require_json_object(model_dir / name, core::ErrorKind::kModel,
                                                "give a complete model directory");
    auto ids = json.value("eos_token_id", nlohmann::json());
    if (ids.is_null()) continue;
    if (!ids.is_array()) ids = nlohmann::json::array({ids});
    for (const auto& id : ids) {
      if (id.is_number_integer()) continue;
      throw core::Error(core::ErrorKind::kModel,
                        fmt::format("eos_token_id has {}, which is no token id", id.dump()),
                        model_dir / name, "give one id or a list of ids");
    }
    return ids.get<std::set<int64_t>>();
  }
  return {};
}

// For training, too: with rows for the tokens that `directory` adds to the model's, and a gradient
// where the config does not freeze.
stream::ModelBundle open_bundle(const config::RunConfig& config,
                                const run::ModelDirectory& directory) {
  std::unique_ptr<const text::Tokenizer> tokenizer = text::load_tokenizer(directory.path);
  const text::ChatFormat format(*tokenizer);
  auto model = train::load_model(config, directory, model::available_device());
  return {directory.path, config::inference_settings(config), std::move(tokenizer), format,
          std::move(model)};
}

class Scorer {
 public:
  Scorer(const config::RunConfig& config, const data::SampleSource& source, int64_t index)
      : config_(config),
        bundle_(open_bundle(
            config, run::prepare_model_directory(config, folder_.path(), source, /*write=*/true))),
        model_(*bundle_.model),
        stored_names_(model::stored_weight_names(config.model.path)) {
    batch_.append(read_example(source, index, bundle_.format, model_.pixels_per_token_side()));
    input_ = train::to_model_input(batch_, model_, device());
  }

  void forward(Tensors& out) {
    const torch::NoGradGuard no_grad;
    out["input_ids"] = input_.input_ids;
    out["position_ids"] = input_.position_ids;
    if (input_.pixel_values.defined()) {
      std::vector<int64_t> grid;
      for (const model::ImageGrid& picture : input_.image_grid)
        grid.insert(grid.end(), {picture.t, picture.h, picture.w});
      out["image_grid_thw"] = torch::tensor(grid, torch::kLong).view({-1, 3});
      out["pixel_values"] = input_.pixel_values;
      out["image_embeds"] = model_.encode_images(input_.pixel_values, input_.image_grid);
    }
    const Tensor hidden_states = model_.forward(input_);
    out["logits"] = at::linear(hidden_states, model_.lm_head_weight()).to(torch::kFloat);

    const loss::SupervisedRows rows = train::supervised_rows(batch_, hidden_states);
    const Tensor predicted =
        torch::tensor(batch_.rows, torch::kLong).to(device()) + 1;  // where the targets stand
    const loss::LossTerms terms = stream_loss(rows);
    out["labels"] =
        torch::full_like(input_.input_ids, text::kIgnore).index_copy_(0, predicted, rows.targets);
    out["token_loss"] = torch::zeros(input_.input_ids.sizes(), terms.token_loss.options())
                            .index_copy_(0, predicted, terms.token_loss);
    out["loss"] = terms.loss;
  }

  void gradients(Tensors& out) {
    const auto parameters = train::named_parameters(config_, model_, bundle_.format.special());
    for (const model::NamedParameter& parameter : parameters) {
      if (parameter.tensor.requires_grad()) parameter.tensor.set_grad_dtype(torch::kFloat);
    }
    backward();
    std::vector<Tensor> norms;
    for (const model::NamedParameter& parameter : parameters) {
      Tensor gradient = parameter.tensor.grad();
      if (!gradient.defined()) continue;
      parameter.tensor.mutable_grad().reset();
      if (parameter.rows.defined()) gradient = gradient.index_select(0, parameter.rows);
      norms.push_back(gradient.norm());
      out["grad." + stored(parameter.name)] = gradient;
    }
    out["grad_norm"] = torch::stack(norms).norm();
  }

  void train(int64_t steps, Tensors& out) {
    parallel::LocalReducer reducer(
        train::named_parameters(config_, model_, bundle_.format.special()));
    optim::AdamW optimizer(reducer, train::adamw_config(config_.optim));
    const optim::LrSchedule schedule(config_.optim.schedule, config_.optim.lr,
                                     config_.optim.warmup_ratio, steps);
    std::vector<Tensor> losses;
    for (int64_t step = 0; step < steps; ++step) {
      losses.push_back(backward());
      const parallel::Gradients gradients = reducer.reduce();
      reducer.clip_grad_norm(gradients, config_.optim.clip_grad_norm);
      optimizer.step(gradients.values, schedule.lr(step));
      reducer.publish(gradients);
    }
    out["losses"] = torch::stack(losses);
    for (const auto& [name, parameter] : model::named_weights(model_))
      out["param." + stored(name)] = parameter.detach();
  }

  void generate(int64_t count, Tensors& out) {
    const torch::NoGradGuard no_grad;
    const std::set<int64_t> ends = end_tokens(bundle_.directory);
    model::KvCache cache;
    model::ModelInput next = input_;
    int64_t position = input_.position_ids.max().item<int64_t>() + 1;
    std::vector<int64_t> chosen;
    while (static_cast<int64_t>(chosen.size()) < count) {
      const Tensor hidden_state = model_.forward_cached(next, cache);
      const Tensor logits = at::linear(hidden_state, model_.lm_head_weight());
      chosen.push_back(logits.argmax().item<int64_t>());
      if (ends.contains(chosen.back())) break;
      next = {.input_ids = input_.input_ids.new_full({1}, chosen.back()),
              .position_ids = input_.position_ids.new_full({3, 1}, position++),
              .cu_seqlens = {0, 1}};
    }
    out["generated_ids"] = torch::tensor(chosen, torch::kLong);
  }

 private:
  std::string stored(const std::string& name) const {
    const auto found = stored_names_.find(name);
    return found == stored_names_.end() ? name : found->second;
  }

  loss::LossTerms stream_loss(const loss::SupervisedRows& rows) const {
    loss::StreamingLoss loss(
        {.gamma = config_.loss.gamma, .alpha_scope = config_.loss.alpha_scope});
    loss.count_states(batch_.state_targets());
    const auto supervised = static_cast<double>(std::max<size_t>(batch_.rows.size(), 1));
    return loss(rows, model_.lm_head_weight(), supervised);
  }

  Tensor backward() {
    if (batch_.rows.empty()) {
      throw core::Error(core::ErrorKind::kData, "no assistant turn, nothing has a gradient",
                        batch_.ids.front(), "give a sample with answers");
    }
    const Tensor hidden_states = model_.forward(input_);
    const Tensor loss = stream_loss(train::supervised_rows(batch_, hidden_states)).loss;
    loss.backward();
    return loss.detach();
  }

  torch::Device device() { return model_.lm_head_weight().device(); }

  config::RunConfig config_;
  core::ScratchFolder folder_;  // of a tokenizer with added tokens
  stream::ModelBundle bundle_;
  model::VisionLanguageModel& model_;
  std::map<std::string, std::string> stored_names_;
  data::MicroBatch batch_;
  model::ModelInput input_;
};

}  // namespace

Tensors score(const config::RunConfig& config, const data::SampleSource& source,
              const ScoreOptions& options) {
  Tensors out;
  Scorer scorer(config, source, options.index);
  scorer.forward(out);
  if (options.generate > 0) scorer.generate(options.generate, out);
  if (options.gradients) scorer.gradients(out);
  if (options.steps > 0) scorer.train(options.steps, out);
  return out;
}

}  // namespace streamo::compare
