#include "streamo/core/memory.h"

#include <cstdlib>  // says whether this is glibc
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace streamo::core {

void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_MAX, 0);         // large blocks come from the heap, too ...
  mallopt(M_TRIM_THRESHOLD, -1);  // ... whose top is never given back
#endif
}

}  // namespace streamo::core
