// One process of a run that sums 1 over its ranks again and again. At the third sum the rank given
// by CULPRIT does what ACTION says. Exit code as that of streamo.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "parallel/ranks.h"
#include "streamo/core/error.h"

namespace {

constexpr int kSums = 5, kCulpritSum = 2;

void misbehave(const std::string& action) {
  if (action == "kill") ::raise(SIGKILL);
  if (action == "exit") std::_Exit(0);
  if (action == "throw") {
    throw streamo::core::Error(streamo::core::ErrorKind::kData, "its data are bad", "a.mp4");
  }
  if (action == "segfault") ::raise(SIGSEGV);
  if (action == "abort") std::abort();
  if (action == "stop") {
    if (::fork() == 0) {  // so that the test ends
      ::sleep(10);
      ::kill(::getppid(), SIGKILL);
      ::_exit(0);
    }
    ::raise(SIGSTOP);
  }
  while (action == "spin") {
  }
  if (action == "sleep") std::this_thread::sleep_for(std::chrono::seconds(60));
}

void run(streamo::parallel::Ranks& ranks, const std::string& action, int culprit) {
  ranks.set_timeout(std::chrono::seconds(3));
  ranks.set_heartbeat_timeout(std::chrono::seconds(3));
  for (int i = 0; i < kSums; ++i) {
    ranks.set_activity("sum " + std::to_string(i));
    if (i == kCulpritSum && ranks.rank() == culprit) misbehave(action);
    // The others compute for long: only their watch can notice.
    if (i == kCulpritSum && action == "kill while others compute") {
      if (ranks.rank() == culprit) ::raise(SIGKILL);
      std::this_thread::sleep_for(std::chrono::seconds(60));
    }
    if (ranks.sum(1) != ranks.size()) std::_Exit(1);
  }
}

}  // namespace

int main(int /*argc*/, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // as streamo does: a lost connection is an error, not the end
  try {
    streamo::parallel::Ranks ranks(streamo::parallel::read_launch(), std::chrono::seconds(20));
    try {
      run(ranks, argv[1], std::atoi(argv[2]));
    } catch (const streamo::core::Error& error) {
      ranks.announce_failure(error.what());
      throw;
    }
    return 0;
  } catch (const streamo::core::Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return error.exit_code();
  }
}
