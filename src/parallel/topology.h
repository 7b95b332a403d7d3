// What a run of several processes looks like, for people.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "parallel/ranks.h"

namespace streamo::parallel {

// Collective. Lines: how many ranks on how many machines, what they exchange over and how fast a
// first sum over all of them was (64 MB on GPUs, 4 MB on CPUs); then for each rank its machine,
// process and device. An all-reduce of B bytes over R ranks sends 2 B (R-1)/R from each, which its
// rate counts (NCCL's "bus bandwidth").
std::string topology(Ranks& ranks, at::Device device);

}  // namespace streamo::parallel
