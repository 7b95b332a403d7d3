// How the process holds its memory.
#pragma once

namespace streamo::core {

// Freed memory stays with the process, for the next step asks for the same sizes again: given back
// to the system, it is zeroed page by page each time it returns (a quarter of the time of a
// training step on a CPU). For the whole process; does nothing where the C library is not glibc.
void disable_malloc_trim();

}  // namespace streamo::core
