// From a config to the model that is trained, and to its parameters.
#pragma once

#include <torch/torch.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "config/run_config.h"
#include "model/named_parameter.h"
#include "optim/adamw.h"
#include "run/model_directory.h"
#include "streamo/model/vision_language_model.h"
#include "streamo/text/special_tokens.h"

namespace streamo::train {

// Whether model.freeze_* keeps this part as it is. Never embedding and head: the rows of the state
// tokens are trained whatever is frozen (named_parameters()).
bool is_frozen(const config::RunConfig::Model& config, model::Part part);

// Built, with weights (of model.path, with rows for new tokens, or random for a preset; of the
// checkpoint `resume_from`, where there is one), in the config's dtype, frozen as asked.
std::shared_ptr<model::VisionLanguageModel> load_model(
    const config::RunConfig& config, const run::ModelDirectory& directory, torch::Device device,
    const std::filesystem::path& resume_from = {});

// Every parameter in a fixed order, each with its rate (optim.vision_lr); frozen ones do not
// require a gradient. Of a frozen language model's embedding and head only the state tokens' rows
// are trained.
std::vector<model::NamedParameter> named_parameters(const config::RunConfig& config,
                                                    model::VisionLanguageModel& model,
                                                    const text::SpecialTokens& special);
optim::AdamWConfig adamw_config(const config::RunConfig::Optim& optim);

}  // namespace streamo::train
