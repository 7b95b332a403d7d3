// Whose trouble a failed system call is: the file's, or the machine's.
//
// A bad file is one bad sample. Descriptors, memory, threads, a disk that does not answer: those
// are the machine's. They are tried again for a while, and then end the run with what to do; what
// the machine cannot do now says nothing about the data.
#pragma once

#include <cerrno>
#include <chrono>
#include <string>
#include <string_view>

#include "core/io/fault_point.h"
#include "streamo/core/error.h"

namespace streamo::core {

enum class Trouble {
  kBroken,   // this file is missing, no file, not ours to read ...
  kMayPass,  // the storage did not answer: EIO, ESTALE, ETIMEDOUT ...
  kMachine,  // the process or the machine is at a limit: EMFILE, ENOMEM, ENOSPC ...
};
Trouble classify_errno(int error);

// kMemory for a limit of the process, kDisk for storage, `of_the_file` for what is broken; with a
// hint that fits the number.
Error system_error(int error, const std::string& what, const std::string& where,
                   ErrorKind of_the_file = ErrorKind::kDisk);
// Throws it unless the file itself is to blame.
void throw_if_of_the_machine(int error, const std::string& what, const std::string& where);

// Writes all of it; 0, or the error that stopped it. A full disk takes what fits, so that only the
// next try says why it was not all.
int write_all(int fd, std::string_view bytes);

// How long to try again, at growing intervals.
struct Retry {
  static Retry none() { return {.machine = {}, .storage = {}}; }
  std::chrono::milliseconds machine{3'000};   // a descriptor comes back when a neighbour is done
  std::chrono::milliseconds storage{30'000};  // a file server that changes over
};

// Waits before another try; false when it has been tried long enough, or a try would not help.
class BackOff {
 public:
  explicit BackOff(Retry retry = {}) : retry_(retry) {}
  bool wait(int error);

 private:
  Retry retry_;
  std::chrono::milliseconds next_{1}, waited_{0};
};

// The result of a system call that returns -1 and sets errno when it fails: made again when a
// signal interrupted it, and with back-off for trouble of the machine. `name` is a fault point: its
// action may be the name of an error (STREAMO_FAULT=video.open:3:emfile).
template <typename Call>
auto system_call(const char* name, const Call& call, Retry retry = {}) -> decltype(call()) {
  for (BackOff back_off(retry);;) {
    errno = injected_errno(name);
    const auto result = errno == 0 ? call() : decltype(call())(-1);
    if (result >= 0 || errno == 0) return result;
    if (errno == EINTR) continue;
    const int error = errno;
    if (back_off.wait(error)) continue;
    errno = error;
    return result;
  }
}

}  // namespace streamo::core
