// Freed memory that stays with the process: the second use of a block costs no page faults.
#include "core/process/memory.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace streamo::core {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STREAMO_OWN_MALLOC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STREAMO_OWN_MALLOC 1
#endif
#endif

long page_faults() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

long page_faults_of_a_block() {
  constexpr size_t kBytes = 16 << 20;
  const long before = page_faults();
  void* block = std::malloc(kBytes);
  std::memset(block, 1, kBytes);
  asm volatile("" : : "r"(block) : "memory");  // that all of it is written
  std::free(block);
  return page_faults() - before;
}

TEST(Memory, AFreedBlockIsKeptForTheNext) {
#if defined(STREAMO_OWN_MALLOC) || !defined(__GLIBC__)
  GTEST_SKIP() << "another allocator than glibc's";
#endif
  const pid_t child = ::fork();  // it holds for a whole process
  if (child == 0) {
    disable_malloc_trim();
    const long first = page_faults_of_a_block(), second = page_faults_of_a_block();
    std::_Exit(first > 3 && second < 10 ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace streamo::core
