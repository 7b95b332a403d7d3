// What a decoder process may still do once it has begun: compute, read what it was given, answer.
#pragma once

#include <cstdint>

namespace streamo::video {

// With the address sanitizer memory is not limited: its shadow takes terabytes.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kMemoryIsLimited = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool kMemoryIsLimited = false;
#else
inline constexpr bool kMemoryIsLimited = true;
#endif
#else
inline constexpr bool kMemoryIsLimited = true;
#endif

// For this process, from then on and for ever: `max_bytes` of address space, no core dumps, few
// descriptors, no new privileges, and of all system calls those that a decoder needs. It can open
// no file, connect to nothing, start and signal nobody. False: the system cannot enforce that.
bool enter_sandbox(int64_t max_bytes);

}  // namespace streamo::video
