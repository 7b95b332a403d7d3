// Waits for a collective in short pieces, between which the watch says whether there is hope.
#include "parallel/host_wait.h"

#include "core/log.h"

namespace streamo::parallel {
namespace {

constexpr std::chrono::milliseconds kLook{250};

bool is_over_within(c10d::Work& work, std::chrono::milliseconds limit) {
  try {
    return work.wait(limit);
  } catch (const std::exception&) {
    if (work.isCompleted()) throw;
    return false;
  }
}

}  // namespace

std::string wait_for_collective(c10d::Work& work, Watch& watch) {
  const double begun = core::monotonic_seconds();
  Watch::Wait wait(watch);
  while (!is_over_within(work, kLook)) {
    if (std::string standing = wait.go_on(kLook); !standing.empty()) return standing;
  }
  watch.add_waited(core::monotonic_seconds() - begun);
  return "";
}

}  // namespace streamo::parallel
