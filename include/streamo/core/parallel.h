// The same work on many items, over a few threads.
#pragma once

#include <cstddef>
#include <functional>

namespace streamo::core {

int num_cores();  // of this machine, at least one

// Calls work(i) for every i in [0, count), in any order, on `num_workers` threads (at least one).
// The first exception stops the rest and is thrown to the caller.
void parallel_for(size_t count, int num_workers, const std::function<void(size_t)>& work);

}  // namespace streamo::core
