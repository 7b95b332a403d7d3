// How many of all possible faults a test tries: a sample, or all where STREAMO_FULL_FAULTS is set.
#pragma once

#include <cstdlib>

namespace streamo::test {

inline bool all_faults() {
  return std::getenv("STREAMO_FULL_FAULTS") != nullptr;
}

}  // namespace streamo::test
