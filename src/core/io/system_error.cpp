// Maps errno to who is to blame (machine or file), whether a retry helps, and the hint.
#include "core/io/system_error.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <thread>

namespace streamo::core {
namespace {

struct Known {
  int error;
  Trouble trouble;
  ErrorKind kind;
  const char* hint;
};

constexpr const char* kServer = "look at the disk or the file server, then start again";

// What is not listed is the file's.
constexpr Known kKnown[] = {
    {EMFILE, Trouble::kMachine, ErrorKind::kMemory,
     "raise the limit of open files (ulimit -n), or use fewer workers (data.num_workers)"},
    {ENFILE, Trouble::kMachine, ErrorKind::kMemory,
     "this machine has too many files open (fs.file-max): end other programs, or use fewer "
     "workers"},
    {ENOMEM, Trouble::kMachine, ErrorKind::kMemory,
     "free memory, raise the limit, or use fewer workers (data.num_workers)"},
    {EAGAIN, Trouble::kMachine, ErrorKind::kMemory,
     "raise the limit of threads (ulimit -u, or the container's pids), or use fewer workers"},
    {ENOBUFS, Trouble::kMachine, ErrorKind::kMemory, "free memory, or use fewer workers"},
    {ENOSPC, Trouble::kMachine, ErrorKind::kDisk, "free some space, or choose another folder"},
    {EDQUOT, Trouble::kMachine, ErrorKind::kDisk,
     "your quota is used up: free some space, or choose another folder"},
    {EFBIG, Trouble::kMachine, ErrorKind::kDisk,
     "raise the limit of a file's size (ulimit -f), or choose another folder"},
    {EROFS, Trouble::kMachine, ErrorKind::kDisk, "choose a folder that may be written"},
    {EIO, Trouble::kMayPass, ErrorKind::kDisk, kServer},
    {ESTALE, Trouble::kMayPass, ErrorKind::kDisk, kServer},
    {ETIMEDOUT, Trouble::kMayPass, ErrorKind::kDisk, kServer},
    {EREMOTEIO, Trouble::kMayPass, ErrorKind::kDisk, kServer},
    {ENOTCONN, Trouble::kMayPass, ErrorKind::kDisk, kServer},
    {EHOSTDOWN, Trouble::kMayPass, ErrorKind::kDisk, kServer},
    {EHOSTUNREACH, Trouble::kMayPass, ErrorKind::kDisk, kServer},
    {ENETUNREACH, Trouble::kMayPass, ErrorKind::kDisk, kServer},
    {ECONNRESET, Trouble::kMayPass, ErrorKind::kDisk, kServer},
};

const Known* known(int error) {
  const auto* found = std::find_if(std::begin(kKnown), std::end(kKnown),
                                   [&](const Known& each) { return each.error == error; });
  return found == std::end(kKnown) ? nullptr : found;
}

const char* hint_of_the_file(int error) {
  switch (error) {
    case ENOENT:
      return "check the path";
    case EBADF:
      return "it is closed, give it a file or a pipe";
    case EISDIR:
      return "this is a folder, give a file";
    case ENOTDIR:
      return "a part of the path is a file, check it";
    case EACCES:
    case EPERM:
      return "check the permissions";
    case ELOOP:
      return "links lead in a circle, mend them";
    case ENAMETOOLONG:
      return "choose a shorter name";
    default:
      return "check the file";
  }
}

}  // namespace

Trouble classify_errno(int error) {
  const Known* of_machine = known(error);
  return of_machine == nullptr ? Trouble::kBroken : of_machine->trouble;
}

Error system_error(int error, const std::string& what, const std::string& where,
                   ErrorKind of_the_file) {
  const std::string text = fmt::format("{}: {}", what, std::strerror(error));
  if (const Known* of_machine = known(error))
    return {of_machine->kind, text, where, of_machine->hint};
  return {of_the_file, text, where, hint_of_the_file(error)};
}

void throw_if_of_the_machine(int error, const std::string& what, const std::string& where) {
  if (classify_errno(error) != Trouble::kBroken) throw system_error(error, what, where);
}

int write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = system_call(
        "log.write", [&] { return ::write(fd, bytes.data(), bytes.size()); }, Retry::none());
    if (put < 0) return errno;
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  return 0;
}

bool BackOff::wait(int error) {
  constexpr std::chrono::milliseconds kLongest{1'000};
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG || error == EROFS;
  if (full || classify_errno(error) == Trouble::kBroken) return false;
  const bool may_pass = classify_errno(error) == Trouble::kMayPass;
  if (waited_ >= (may_pass ? retry_.storage : retry_.machine)) return false;
  std::this_thread::sleep_for(next_);
  waited_ += next_;
  next_ = std::min(2 * next_, kLongest);
  return true;
}

}  // namespace streamo::core
