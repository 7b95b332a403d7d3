// What each rank does by itself, so that a failure of one is a failure of all at once: none is left
// waiting for it, and what comes next they can still do together.
#pragma once

#include <functional>

#include "parallel/ranks.h"

namespace streamo::train {

// Collective; `work` must not be. Throws what it threw here; or, when it threw on another rank
// only, core::Error of the same kind naming that rank.
void fail_together(parallel::Ranks& ranks, const std::function<void()>& work);

}  // namespace streamo::train
