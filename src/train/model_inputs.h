// From a packed micro-batch in host memory to the tensors of model and loss.
#pragma once

#include <torch/torch.h>

#include "data/loading/batch.h"
#include "loss/streaming_loss.h"
#include "streamo/model/vision_language_model.h"

namespace streamo::train {

// Positions restart at each sample; pictures are normalised and cut into patches on `device`.
model::ModelInput to_model_input(const data::MicroBatch& batch,
                                 const model::VisionLanguageModel& model, torch::Device device);

// The rows of `hidden_states` [L, H] that predict a supervised token, with what they should
// predict.
loss::SupervisedRows supervised_rows(const data::MicroBatch& batch,
                                     const torch::Tensor& hidden_states);

}  // namespace streamo::train
