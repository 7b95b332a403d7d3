// Counts how often the armed fault point is reached, and triggers its fault on the requested hit.
#include "core/io/fault_point.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <sstream>
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

// Counts the hits of what is armed.
bool is_due(const char* name) {
  const ArmedFault& fault = armed();
  if (fault.hit == 0 || !matches(fault.name, name)) return false;
  static std::atomic<int> hits{0};
  const int hit = ++hits;
  return hit == fault.hit || (hit > fault.hit && fault.and_later);
}

void act(const std::string& action, const char* name) {
  static const std::map<std::string, int, std::less<>> signals = {
      {"kill", SIGKILL}, {"term", SIGTERM}, {"int", SIGINT},   {"hup", SIGHUP},
      {"usr1", SIGUSR1}, {"usr2", SIGUSR2}, {"abort", SIGABRT}};
  if (const auto signal = signals.find(action); signal != signals.end()) {
    ::kill(::getpid(), signal->second);  // to the process, as from outside
    return;
  }
  if (action == "segv") std::raise(SIGSEGV);
  for (volatile bool go_on = action == "spin"; go_on;) {
  }
  // Never touched: it is the space that is used up.
  while (action == "allocate") static_cast<void>(::operator new (size_t{64} << 20));
  if (action.starts_with("delay=")) {
    std::this_thread::sleep_for(std::chrono::milliseconds(std::atoi(action.c_str() + 6)));
    return;
  }
  if (action == "exit") std::_Exit(70);
  while (action == "hang") std::this_thread::sleep_for(std::chrono::hours(1));
  const int error = action == "enospc" ? ENOSPC : EIO;
  throw Error(ErrorKind::kDisk, std::string("cannot write: ") + std::strerror(error), name,
              "this failure was injected by STREAMO_FAULT");
}

// One after the other where several are joined: "term+hang".
void act(const ArmedFault& fault, const char* name) {
  std::istringstream actions(fault.action);
  for (std::string action; std::getline(actions, action, '+');) act(action, name);
}

}  // namespace

void fault_point(const char* name) {
  if (is_due(name)) act(armed(), name);
}

bool fault_asked(const char* name, const char* action) {
  return is_due(name) && armed().action == action;
}

int injected_errno(const char* name) {
  static const std::map<std::string, int, std::less<>> errors = {
      {"emfile", EMFILE}, {"enfile", ENFILE}, {"enomem", ENOMEM},       {"eagain", EAGAIN},
      {"eio", EIO},       {"estale", ESTALE}, {"etimedout", ETIMEDOUT}, {"enospc", ENOSPC},
      {"edquot", EDQUOT}, {"efbig", EFBIG}};
  if (!is_due(name)) return 0;
  const auto error = errors.find(armed().action);
  if (error != errors.end()) return error->second;
  act(armed(), name);
  return 0;
}

}  // namespace streamo::core
