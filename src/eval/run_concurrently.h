// Samples that are played side by side, and share the processor cores.
#pragma once

#include <cstddef>
#include <functional>

namespace streamo::eval {

// Calls play(i) for every i in [0, count), `asked` of them at a time (0: one a core). The cores
// left over go to the operators inside: a small model is bound by the overhead of each operator,
// which more threads an operator only raise. The first exception is thrown to the caller, whose own
// number of threads is as before in any case.
void run_concurrently(size_t count, int asked, const std::function<void(size_t)>& play);

}  // namespace streamo::eval
