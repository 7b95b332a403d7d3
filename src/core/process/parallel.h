// The same work on many items, over a few threads.
#pragma once

#include <cstddef>
#include <functional>
#include <thread>
#include <vector>

namespace streamo::core {

// Up to `count` threads that each call `work` once. Where the machine allows no more, fewer, with a
// warning; throws std::system_error when it allows not `least`.
std::vector<std::jthread> start_threads(size_t count, size_t least,
                                        const std::function<void()>& work);

// How many of `count` threads the system lets this process start now, beside those it has.
size_t startable_threads(size_t count);

// Calls work(i) for every i in [0, count), in any order, on `num_workers` threads (at least one).
// The first exception stops the rest and is thrown to the caller.
void parallel_for(size_t count, int num_workers, const std::function<void(size_t)>& work);

}  // namespace streamo::core
