#include "streamo/core/fault_point.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>

#include "streamo/core/error.h"

namespace streamo::core {
namespace {

struct ArmedFault {
  std::string name, action;
  int hit = 0;
  bool and_later = false;
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
    const std::string hit = spec.substr(first + 1, second - first - 1);
    parsed.hit = std::atoi(hit.c_str());
    parsed.and_later = hit.ends_with('+');
    parsed.action = spec.substr(second + 1);
    return parsed;
  }();
  return fault;
}

bool matches(std::string_view pattern, std::string_view name) {
  if (!pattern.ends_with('*')) return pattern == name;
  return name.starts_with(pattern.substr(0, pattern.size() - 1));
}

}  // namespace

void fault_point(const char* name) {
  const ArmedFault& fault = armed();
  if (fault.hit == 0 || !matches(fault.name, name)) return;
  static std::atomic<int> hits{0};
  const int hit = ++hits;
  if (hit < fault.hit || (hit > fault.hit && !fault.and_later)) return;
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
