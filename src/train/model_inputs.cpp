// Stacks frames of equal size for one patchify call each, and computes positions sample by sample.
#include "train/model_inputs.h"

#include "streamo/core/error.h"

namespace streamo::train {
namespace {

torch::Tensor to_tensor(const std::vector<int64_t>& values, torch::Device device) {
  return torch::tensor(values, torch::kInt64).to(device);
}

// Consecutive pictures of one size make one [n, h, w, 3] tensor: one call to patchify for most
// batches.
torch::Tensor stack_pictures(std::span<const video::Frame> frames, torch::Device device) {
  const int64_t height = frames.front().size.height, width = frames.front().size.width;
  torch::Tensor pictures =
      torch::empty({static_cast<int64_t>(frames.size()), height, width, 3}, torch::kUInt8);
  auto* to = pictures.data_ptr<uint8_t>();
  for (const video::Frame& frame : frames) to = std::copy(frame.rgb.begin(), frame.rgb.end(), to);
  return pictures.to(device);
}

}  // namespace

model::ModelInput to_model_input(const data::MicroBatch& batch,
                                 const model::VisionLanguageModel& model, torch::Device device) {
  model::ModelInput input;
  input.input_ids = torch::tensor(batch.input_ids, torch::kInt32).to(device, torch::kInt64);
  input.cu_seqlens = batch.cu_seqlens;

  std::vector<torch::Tensor> patches;
  for (size_t begin = 0, end = 0; begin < batch.frames.size(); begin = end) {
    while (end < batch.frames.size() && batch.frames[end].size == batch.frames[begin].size) ++end;
    std::vector<model::ImageGrid> grid;
    const auto same_size = std::span(batch.frames).subspan(begin, end - begin);
    patches.push_back(model.patchify(stack_pictures(same_size, device), &grid));
    input.image_grid.insert(input.image_grid.end(), grid.begin(), grid.end());
  }
  if (!patches.empty()) input.pixel_values = patches.size() == 1 ? patches[0] : torch::cat(patches);

  std::vector<torch::Tensor> positions;
  std::span<const model::ImageGrid> grid = input.image_grid;
  for (size_t sample = 0; sample < batch.ids.size(); ++sample) {
    const auto begin = static_cast<size_t>(batch.cu_seqlens[sample]);
    const auto end = static_cast<size_t>(batch.cu_seqlens[sample + 1]);
    const auto pictures = static_cast<size_t>(batch.frames_of_sample[sample]);
    positions.push_back(model.position_ids(std::span(batch.input_ids).subspan(begin, end - begin),
                                           grid.first(pictures), 0, nullptr));
    grid = grid.subspan(pictures);
  }
  input.position_ids = torch::cat(positions, 1).to(device);
  return input;
}

loss::SupervisedRows supervised_rows(const data::MicroBatch& batch,
                                     const torch::Tensor& hidden_states) {
  const torch::Device device = hidden_states.device();
  return {.hidden_states = hidden_states.index_select(0, to_tensor(batch.rows, device)),
          .targets = to_tensor(batch.targets, device),
          .states = to_tensor(batch.states, device),
          .samples = to_tensor(batch.sample_of_row, device)};
}

}  // namespace streamo::train
