// Waiting on the host for a collective to end.
#pragma once

#include <string>
#include <torch/csrc/distributed/c10d/Work.hpp>

#include "parallel/watch.h"

namespace streamo::parallel {

// Returns "" when it is over, or who stands still when there is no hope that it will be. Throws why
// it has failed.
std::string wait_for_collective(c10d::Work& work, Watch& watch);

}  // namespace streamo::parallel
