// Whether all processes that were started together mean the same run.
#pragma once

#include <nlohmann/json.hpp>

#include "parallel/ranks.h"

namespace streamo::run {

// Collective. Throws core::Error{kConfig} on all ranks when one of them has other settings
// (`effective_config`), other training data (`data`: data_identity()) or another program, naming it
// and what differs.
void require_same_run(parallel::Ranks& ranks, const nlohmann::ordered_json& effective_config,
                      const nlohmann::ordered_json& data);

}  // namespace streamo::run
