// How much of what a model computes is held for the backward pass, from sizes alone: to foretell
// whether a training step fits a GPU.
#pragma once

namespace streamo::model {

// Numbers of the model's type, of one micro-batch.
struct Activations {
  double kept = 0;  // from the forward to the backward pass
  // What the block at work holds besides, at most: its gradients and temporaries, and, if blocks
  // are run again, all it would have kept.
  double working = 0;
  // What the pictures themselves take, in fp32.
  double pixels = 0;
};

}  // namespace streamo::model
