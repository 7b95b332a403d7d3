// What the fuzz targets share. A target is a reader of data from outside that is given any bytes at
// all: it refuses them in words, or what it returns holds what its callers rely on.
//
//   FUZZ_TARGET(name, 2000) { ... }   gets `input`
//
// is a libFuzzer program in the preset `fuzz` (build/fuzz/tests/fuzz/fuzz_NAME; all of them for
// some seconds each: bash scripts/fuzz.sh) and a test of every build (fuzz_test), which reads
// tests/fuzz/corpus/NAME and 2000 mutations of it, the same each time.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#ifndef STREAMO_LIBFUZZER
#include "fuzz/replay.h"
#endif

namespace streamo::fuzz {

inline void require(bool holds) {
  if (!holds) std::abort();
}

// The bytes as a regular file in memory, for readers that open one. One at a time.
class InputFile {
 public:
  explicit InputFile(std::string_view bytes) {
    require(::ftruncate(fd(), 0) == 0);
    require(::pwrite(fd(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  }
  static int fd() {
    static const int fd = ::memfd_create("fuzz", MFD_CLOEXEC);
    return fd;
  }
  static std::filesystem::path path() { return "/proc/self/fd/" + std::to_string(fd()); }
};

// The part of `input` up to the next zero byte, which is taken off: several files or words in one.
inline std::string_view take_part(std::string_view& input) {
  const std::string_view part = input.substr(0, input.find('\0'));
  input.remove_prefix(std::min(part.size() + 1, input.size()));
  return part;
}

}  // namespace streamo::fuzz

#ifdef STREAMO_LIBFUZZER
#define FUZZ_TARGET(name, mutations)                                        \
  static void fuzz_##name(std::string_view input);                          \
  extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);  \
  extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) { \
    fuzz_##name({reinterpret_cast<const char*>(data), size});               \
    return 0;                                                               \
  }                                                                         \
  static void fuzz_##name(std::string_view input)
#else
#define FUZZ_TARGET(name, mutations)                      \
  static void fuzz_##name(std::string_view input);        \
  TEST(Fuzz, name) {                                      \
    streamo::fuzz::replay(#name, fuzz_##name, mutations); \
  }                                                       \
  static void fuzz_##name(std::string_view input)
#endif
