// How much a model computes, from sizes alone: to deal work evenly and to foretell a run's time.
#pragma once

#include <cstdint>

namespace streamo::model {

// Of one sample, or of several added up.
struct Workload {
  int64_t tokens = 0;      // of the decoder
  double token_pairs = 0;  // that attend to each other: tokens (tokens + 1) / 2 of each sample
  int64_t supervised_tokens = 0;
  int64_t visual_tokens = 0;
  double picture_pairs = 0;  // visual tokens squared, of each picture

  // One sample whose pictures are of one size.
  static Workload of_sample(int64_t tokens, int64_t supervised_tokens, int64_t visual_tokens,
                            int64_t pictures);
};

// Floating-point operations of the forward pass; a multiplication with its addition counts as two.
// Products with weights and those of attention alone: the rest is below 1 %.
struct Flops {
  double vision_weights = 0, vision_attention = 0;
  double merger = 0;
  double language_weights = 0, language_attention = 0;
  double head = 0;  // of supervised tokens
};

// Which parts learn, and whether blocks are run again in the backward pass.
struct Training {
  bool vision = true, merger = true, language = true;
  bool recomputed = false;
  // What operators keep for the backward pass besides their input: a norm what it has not scaled
  // yet, a gated MLP the product of its two halves. On GPUs both do (nn/rms_norm.cpp, swiglu.cpp).
  bool keeps_normed = true, keeps_product = true;
};

// Forward and backward. A trained product costs twice its forward in the backward pass (once for
// the input, once for the weight), a frozen one that passes a gradient on once.
double training_flops(const Flops& forward, const Training& training);

}  // namespace streamo::model
