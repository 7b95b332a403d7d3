// Pixels of a patch -> its first hidden state.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>

namespace streamo::nn {

struct PatchShape {
  int64_t channels = 3, frames = 2, side = 14;
  int64_t values() const { return channels * frames * side * side; }
};

// A convolution whose stride is its kernel, so every patch is one row of a matrix product. The
// weight keeps the shape of the convolution, as in published checkpoints: proj.weight [hidden,
// channels, frames, side, side].
class PatchEmbed : public torch::nn::Module {
 public:
  PatchEmbed(const PatchShape& shape, int64_t hidden);

  torch::Tensor forward(const torch::Tensor& patches) const;  // [P, values] -> [P, hidden]

 private:
  struct Projection;
  std::shared_ptr<Projection> proj_;
};

}  // namespace streamo::nn
