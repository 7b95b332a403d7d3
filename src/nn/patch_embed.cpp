// The published Conv3d with stride = kernel size, computed as the matrix product it is.
#include "nn/patch_embed.h"

namespace streamo::nn {

struct PatchEmbed::Projection : torch::nn::Module {
  Projection(const PatchShape& s, int64_t hidden) {
    weight =
        register_parameter("weight", torch::empty({hidden, s.channels, s.frames, s.side, s.side}));
  }
  torch::Tensor weight;
};

PatchEmbed::PatchEmbed(const PatchShape& shape, int64_t hidden)
    : proj_(register_module("proj", std::make_shared<Projection>(shape, hidden))) {}

torch::Tensor PatchEmbed::forward(const torch::Tensor& patches) const {
  return at::linear(patches.to(proj_->weight.scalar_type()), proj_->weight.flatten(1));
}

}  // namespace streamo::nn
