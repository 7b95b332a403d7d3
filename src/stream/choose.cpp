// Thresholded argmax over the states; greedy or nucleus sampling for tokens.
#include "stream/choose.h"

#include <algorithm>

namespace streamo::stream {

using text::State;
using torch::Tensor;

State choose_state(const std::array<float, text::kNumStates>& probabilities,
                   const Thresholds& thresholds, bool may_respond) {
  const auto [silence, standby, response] = probabilities;
  const bool responds = thresholds.response ? response >= *thresholds.response
                                            : response > standby && response > silence;
  if (responds && may_respond) return State::kResponse;
  const bool stands_by = thresholds.standby ? standby >= *thresholds.standby : standby > silence;
  return stands_by ? State::kStandby : State::kSilence;
}

// Nucleus sampling (Holtzman et al., arXiv 1904.09751): of the fewest tokens that together have at
// least top_p, by their probabilities at this temperature.
text::TokenId choose_token(const Tensor& logits, const Sampling& sampling, core::Rng& rng) {
  if (sampling.temperature <= 0) {
    return static_cast<text::TokenId>(logits.argmax().item<int64_t>());
  }
  const Tensor scaled = logits.to(torch::kCPU, torch::kDouble) / sampling.temperature;
  const auto [sorted, order] = scaled.softmax(-1).sort(-1, /*descending=*/true);
  const double* probability = sorted.const_data_ptr<double>();
  const int64_t* token = order.const_data_ptr<int64_t>();
  int64_t count = 0;
  double mass = 0;
  while (count < sorted.size(0) && (count == 0 || mass < sampling.top_p)) {
    mass += probability[count++];
  }
  double left = rng.uniform() * mass;
  int64_t i = 0;
  while (i + 1 < count && left >= probability[i]) left -= probability[i++];
  return static_cast<text::TokenId>(token[i]);
}

}  // namespace streamo::stream
