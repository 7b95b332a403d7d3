// From a config to model, data source and parameters.
#pragma once

#include <torch/torch.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "data/loading/plan.h"
#include "data/samples/index.h"
#include "data/samples/sample_source.h"
#include "optim/adamw.h"
#include "streamo/model/vision_language_model.h"
#include "streamo/text/special_tokens.h"
#include "train/model_directory.h"

namespace streamo::train {

// A CUDA GPU if LibTorch sees one, else the CPU. `local_rank`: of several processes of this machine
// each takes one of its own; throws core::Error{kUsage} when there are too few.
torch::Device available_device(int local_rank = 0);

// Whether model.freeze_* keeps this part as it is. Never embedding and head: the rows of the state
// tokens are trained whatever is frozen (named_parameters()).
bool is_frozen(const config::RunConfig::Model& config, model::Part part);

// Built, with weights (of model.path, with rows for new tokens, or random for a preset; of the
// checkpoint `resume_from`, where there is one), in the config's dtype, frozen as asked.
std::shared_ptr<model::VisionLanguageModel> load_model(
    const config::RunConfig& config, const ModelDirectory& directory, torch::Device device,
    const std::filesystem::path& resume_from = {});

// How large the model's pictures are: as the config says, else as its directory does (an empty path
// is none yet). Throws core::Error{kModel} for a damaged file.
video::PixelLimits pixel_limits(const config::RunConfig& config,
                                const std::filesystem::path& model_dir);
// The same for a run that has not begun and whose directory is not made yet.
video::PixelLimits pixel_limits_to_be(const config::RunConfig& config);
// The folder of data.frame_cache, null without one. Throws core::Error{kDisk} when it cannot be
// made.
std::shared_ptr<video::FrameCache> open_frame_cache(const config::RunConfig& config);
// How the videos of the model in `model_dir` are sampled, outside of annotation files.
video::SampleOptions sample_options(const config::RunConfig& config,
                                    const std::filesystem::path& model_dir);
// Its system prompt.
std::string system_prompt(const config::RunConfig& config);
// Annotation files (data.train or data.eval) read as the config says, with these limits.
data::SampleSource open_source(const config::RunConfig& config,
                               const std::vector<std::string>& files,
                               const std::filesystem::path& model_dir,
                               std::shared_ptr<video::FrameCache> frame_cache = nullptr);

// How the samples of data.train become items, and these the steps.
data::IndexOptions index_options(const config::RunConfig& config, int64_t token_side);
data::PlanOptions plan_options(const config::RunConfig& config, int rank = 0, int world_size = 1);

inline constexpr const char* kConversationFile = "streamo.json";

// What a model was trained to see beside its weights: system prompt, default question, frame rate,
// pixel limits and resize, as <model directory>/streamo.json, so that it is evaluated as it was
// trained.
std::map<std::string, std::string> conversation_settings(const config::RunConfig& config);
// Takes them over where the directory has them. Throws core::Error{kModel} for a damaged file.
void adopt_conversation_settings(config::RunConfig& config, const std::filesystem::path& model_dir);

// Every parameter in a fixed order, each with its rate (optim.vision_lr); frozen ones do not
// require a gradient. Of a frozen language model's embedding and head only the state tokens' rows
// are trained.
std::vector<optim::NamedParameter> named_parameters(const config::RunConfig& config,
                                                    model::VisionLanguageModel& model,
                                                    const text::SpecialTokens& special);
optim::AdamWConfig adamw_config(const config::RunConfig::Optim& optim);

}  // namespace streamo::train
