// Two checkpoints or model directories, tensor by tensor.
#pragma once

#include <filesystem>

#include "compare/compare_runs.h"

namespace streamo::compare {

// `tolerance`: as for compare_runs().
CheckpointComparison compare_checkpoints(const std::filesystem::path& first,
                                         const std::filesystem::path& second, double tolerance);

}  // namespace streamo::compare
