// From forward to training FLOPs: a backward pass through a matrix costs one more product for its
// input and one for its weight, as far as each is needed.
#include "streamo/model/flops.h"

namespace streamo::model {

Workload Workload::of_sample(int64_t tokens, int64_t supervised_tokens, int64_t visual_tokens,
                             int64_t pictures) {
  const auto length = static_cast<double>(tokens), visual = static_cast<double>(visual_tokens);
  return {.tokens = tokens,
          .token_pairs = length * (length + 1) / 2,
          .supervised_tokens = supervised_tokens,
          .visual_tokens = visual_tokens,
          .picture_pairs = pictures > 0 ? visual * visual / static_cast<double>(pictures) : 0};
}

double training_flops(const Flops& forward, const Training& training) {
  const double again = training.recomputed ? 1 : 0;
  const auto weights = [&](double flops, bool trained, bool passes_on) {
    const double backward = (trained ? 1 : 0) + (passes_on ? 1 : 0);
    return flops * (1 + backward);
  };
  // Text embeddings are always trained, in the rows of the state tokens at least: the decoder
  // always has a backward pass. Attention has two operands, each with its gradient.
  double flops = weights(forward.language_weights, training.language, true) +
                 3 * forward.language_attention +
                 again * (forward.language_weights + forward.language_attention);
  flops += weights(forward.head, true, true);
  flops += weights(forward.merger, training.merger, training.vision);
  if (!training.vision) return flops + forward.vision_weights + forward.vision_attention;
  return flops + weights(forward.vision_weights, true, true) + 3 * forward.vision_attention +
         again * (forward.vision_weights + forward.vision_attention);
}

}  // namespace streamo::model
