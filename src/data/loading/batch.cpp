// Concatenates samples and shifts their row numbers by the tokens before them.
#include "data/loading/batch.h"

#include <iterator>

namespace streamo::data {

void MicroBatch::append(Example example) {
  const int64_t offset = cu_seqlens.back();
  const auto sample = static_cast<int64_t>(ids.size());
  ids.push_back(std::move(example.id));
  input_ids.insert(input_ids.end(), example.input_ids.begin(), example.input_ids.end());
  cu_seqlens.push_back(static_cast<int64_t>(input_ids.size()));
  for (size_t i = 0; i < example.rows.size(); ++i) {
    rows.push_back(offset + example.rows[i]);
    targets.push_back(example.targets[i]);
    states.push_back(example.states[i]);
    sample_of_row.push_back(sample);
  }
  frames_of_sample.push_back(static_cast<int64_t>(example.frames.size()));
  std::move(example.frames.begin(), example.frames.end(), std::back_inserter(frames));
}

std::array<double, 3> MicroBatch::state_targets() const {
  std::array<double, 3> counts{};
  for (const int64_t state : states) {
    if (state >= 0) ++counts[static_cast<size_t>(state)];
  }
  return counts;
}

int64_t StepBatch::tokens() const {
  int64_t count = 0;
  for (const MicroBatch& batch : micro_batches)
    count += static_cast<int64_t>(batch.input_ids.size());
  return count;
}

int64_t StepBatch::supervised_tokens() const {
  int64_t count = 0;
  for (const MicroBatch& batch : micro_batches) count += static_cast<int64_t>(batch.targets.size());
  return count;
}

int64_t StepBatch::num_frames() const {
  int64_t count = 0;
  for (const MicroBatch& batch : micro_batches) count += static_cast<int64_t>(batch.frames.size());
  return count;
}

}  // namespace streamo::data
