// Translates RunConfig into the options of each module, and reads back the conversation settings
// stored with a model.
#include "train/model_setup.h"

#include "config/options.h"
#include "model/hf_directory.h"
#include "model/new_tokens.h"

namespace streamo::train {
namespace fs = std::filesystem;

bool is_frozen(const config::RunConfig::Model& config, model::Part part) {
  return part == model::Part::kVision     ? config.freeze_vision
         : part == model::Part::kMerger   ? config.freeze_merger
         : part == model::Part::kLanguage ? config.freeze_language
                                          : false;
}

std::shared_ptr<model::VisionLanguageModel> load_model(const config::RunConfig& config,
                                                       const run::ModelDirectory& directory,
                                                       torch::Device device,
                                                       const fs::path& resume_from) {
  const torch::ScalarType dtype = config::weight_dtype(config);
  std::shared_ptr<model::VisionLanguageModel> model;
  if (!resume_from.empty()) {
    model = model::build_model(resume_from / "config.json");
    model::load_weights(*model, resume_from, dtype, device);
  } else if (config.model.preset.empty()) {
    const fs::path weights = config.model.path;
    model = model::build_model(weights / "config.json");
    model::load_weights(*model, weights, dtype, device);
    model::add_token_rows(*model, directory.new_token_ids, directory.known_tokens);
  } else {
    model = model::build_model(directory.path / "config.json");
    model::initialize_weights(*model, static_cast<uint64_t>(config.train.seed));
    model->to(device, dtype);
  }
  model->set_gradient_checkpointing(config.model.gradient_checkpointing);
  for (auto& item : model->named_parameters())
    item.value().set_requires_grad(!is_frozen(config.model, model->parameter_part(item.key())));
  return model;
}

std::vector<model::NamedParameter> named_parameters(const config::RunConfig& config,
                                                    model::VisionLanguageModel& model,
                                                    const text::SpecialTokens& special) {
  const torch::Device device = model.lm_head_weight().device();
  const std::vector<int64_t> states(special.states.begin(), special.states.end());
  std::vector<model::NamedParameter> parameters;
  for (const auto& item : model.named_parameters()) {
    const model::Part part = model.parameter_part(item.key());
    const bool sees = part == model::Part::kVision || part == model::Part::kMerger;
    model::NamedParameter parameter{.name = item.key(), .tensor = item.value()};
    if (sees && config.optim.vision_lr > 0)
      parameter.lr_scale = config.optim.vision_lr / config.optim.lr;
    if (part == model::Part::kEmbedding && config.model.freeze_language)
      parameter.rows = torch::tensor(states, torch::kLong).to(device);
    parameters.push_back(std::move(parameter));
  }
  return parameters;
}

optim::AdamWConfig adamw_config(const config::RunConfig::Optim& optim) {
  return {.beta1 = optim.betas[0],
          .beta2 = optim.betas[1],
          .eps = optim.eps,
          .weight_decay = optim.weight_decay,
          .decay = optim.decay};
}

}  // namespace streamo::train
