// mallopt thresholds of glibc.
#include "core/process/memory.h"

#include <cstdlib>  // says whether this is glibc
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace streamo::core {

void disable_malloc_trim() {
#ifdef __GLIBC__
  // Blocks above this, the largest threshold there is, still go back: few, and each of another size
  // than what would fill its hole.
  constexpr int kLargeBlock = 32 << 20;
  mallopt(M_MMAP_THRESHOLD, kLargeBlock);
  mallopt(M_TRIM_THRESHOLD, -1);  // the top of the heap is never given back
#endif
}

}  // namespace streamo::core
