// How much of what a model computes is held for the backward pass, from sizes alone: to foretell
// whether a training step fits a GPU.
#pragma once

namespace streamo::model {

// Numbers of the model's type, of one micro-batch.
struct Activations {
  struct Stage {
    double kept = 0;      // from the forward to the backward pass
    double of_block = 0;  // of these, of one block
    // What the block at work holds besides, at most: temporaries, gradients, and, if blocks are run
    // again, all it would have kept.
    double forward = 0, backward = 0;
  };
  Stage vision = {};  // with the merger
  Stage decoder = {};
  // What the pictures themselves take, in fp32 until the vision tower has seen them; kept behind it
  // if that is trained.
  double pixels = 0;
  bool keeps_pixels = false;
};

}  // namespace streamo::model
