#include "streamo/core/fault_point.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "streamo/core/error.h"

namespace streamo::core {
namespace {

struct ArmedFault {
  std::string name, action;
  int hit = 0;
};

// Parsed once; nothing is armed in a normal run.
const ArmedFault& armed() {
  static const ArmedFault fault = [] {
    ArmedFault parsed;
    const char* text = std::getenv("STREAMO_FAULT");
    if (text == nullptr) return parsed;
    const std::string spec = text;
    const size_t first = spec.find(':');
    const size_t second = spec.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) {
      throw Error(ErrorKind::kUsage, "STREAMO_FAULT is not NAME:HIT:ACTION", spec);
    }
    parsed.name = spec.substr(0, first);
    parsed.hit = std::atoi(spec.substr(first + 1, second - first - 1).c_str());
    parsed.action = spec.substr(second + 1);
    return parsed;
  }();
  return fault;
}

}  // namespace

void fault_point(const char* name) {
  const ArmedFault& fault = armed();
  if (fault.hit == 0 || fault.name != name) return;
  static std::atomic<int> hits{0};
  if (++hits != fault.hit) return;
  if (fault.action == "kill") std::raise(SIGKILL);
  if (fault.action == "exit") std::_Exit(70);
  if (fault.action == "term") {
    std::raise(SIGTERM);
    return;
  }
  while (fault.action == "hang") std::this_thread::sleep_for(std::chrono::hours(1));
  const int error = fault.action == "enospc" ? ENOSPC : EIO;
  throw Error(ErrorKind::kDisk, std::string("cannot write: ") + std::strerror(error), name,
              "this failure was injected by STREAMO_FAULT");
}

}  // namespace streamo::core
