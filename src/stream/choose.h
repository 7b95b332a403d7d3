// From logits to a choice: the state of a turn, the next token of an answer.
#pragma once

#include <torch/torch.h>

#include <array>

#include "core/rng.h"
#include "streamo/stream/session.h"

namespace streamo::stream {

// The most probable state, within the thresholds.
text::State choose_state(const std::array<float, text::kNumStates>& probabilities,
                         const Thresholds& thresholds, bool may_respond);

// logits [vocabulary].
text::TokenId choose_token(const torch::Tensor& logits, const Sampling& sampling, core::Rng& rng);

}  // namespace streamo::stream
