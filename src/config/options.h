// What the config of a run means to the modules that do the work: the options of its model, of its
// annotated videos, of the items made of them, and of the steps made of those.
#pragma once

#include <torch/torch.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "data/loading/plan.h"
#include "data/samples/index.h"
#include "data/samples/sample_source.h"
#include "streamo/stream/inference_settings.h"
#include "streamo/video/resize.h"
#include "video/cache/frame_cache.h"

namespace streamo::config {

// What the run's model is to be told, asked and shown after training as it is in training.
stream::InferenceSettings inference_settings(const RunConfig& config);
// model.dtype: of weights and activations.
torch::ScalarType weight_dtype(const RunConfig& config);

// How large the model's pictures are: as the config says, else as its directory does (an empty path
// is none yet). Throws core::Error{kModel} for a damaged file.
video::PixelLimits pixel_limits(const RunConfig& config, const std::filesystem::path& model_dir);
// The same for a run that has not begun and whose directory is not made yet.
video::PixelLimits pixel_limits_to_be(const RunConfig& config);

// The folder of data.frame_cache, null without one. Throws core::Error{kDisk} when it cannot be
// made.
std::shared_ptr<video::FrameCache> open_frame_cache(const RunConfig& config);

// Annotation files (data.train or data.eval) read as the config says, with these limits. From then
// on the whole program decodes where data.decoder says.
data::SampleSource open_source(const RunConfig& config, const std::vector<std::string>& files,
                               const std::filesystem::path& model_dir,
                               std::shared_ptr<video::FrameCache> frame_cache = nullptr);

// How the samples of data.train become items, and these the steps.
data::IndexOptions index_options(const RunConfig& config, int64_t token_side);
data::PlanOptions plan_options(const RunConfig& config, int rank = 0, int world_size = 1);

}  // namespace streamo::config
