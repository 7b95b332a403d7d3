// A parameter of a model, and what of it is trained.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>

namespace streamo::model {

struct NamedParameter {
  std::string name;
  torch::Tensor tensor;   // a leaf; without requires_grad it is frozen
  double lr_scale = 1.0;  // its learning rate as a multiple of the step's
  // int64 indices of the rows that are trained; undefined: all. The others stay as they are, and
  // have no optimizer state.
  torch::Tensor rows = {};

  // Of what is trained.
  int64_t numel() const { return rows.defined() ? rows.numel() * tensor.size(1) : tensor.numel(); }
};

}  // namespace streamo::model
