// Writes results to stdout, and handles a reader that has gone away (SIGPIPE, a full disk).
#include "core/print.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "core/io/system_error.h"
#include "core/printable.h"

namespace streamo::core {
namespace {

bool reader_is_gone() {
  pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
  return ::poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0;
}

[[noreturn]] void throw_lost(int error) {
  if (error == EPIPE || reader_is_gone()) throw ReaderGone();
  throw system_error(error, "cannot write the result", "standard output");
}

// Whether it is worth another try after an error.
bool may_go_on(int fd) {
  constexpr int kPatienceMs = 1'000;
  if (errno == EINTR) return true;
  if (errno != EAGAIN) return false;  // somebody else who shares the terminal made it non-blocking
  pollfd writable = {.fd = fd, .events = POLLOUT, .revents = 0};
  return ::poll(&writable, 1, kPatienceMs) == 1;
}

}  // namespace

void write_result(std::string_view text) {
  const std::string shown = printable(text);
  if (std::fwrite(shown.data(), 1, shown.size(), stdout) != shown.size()) throw_lost(errno);
}

void flush_results() {
  if (std::fflush(stdout) != 0) throw_lost(errno);
  // Of an earlier piece, written by somebody else: `--help`.
  if (std::ferror(stdout) != 0) throw_lost(EIO);
  // Network file systems say only at the close that there was no room.
  const int copy = ::dup(STDOUT_FILENO);
  if (copy >= 0 && ::close(copy) != 0 && errno != EINTR) throw_lost(errno);
}

void show(FILE* stream, std::string_view text) {
  std::fflush(stream);
  const int fd = ::fileno(stream);
  while (!text.empty()) {
    const ssize_t put = ::write(fd, text.data(), text.size());
    if (put > 0) {
      text.remove_prefix(static_cast<size_t>(put));
    } else if (!may_go_on(fd)) {
      return;
    }
  }
}

void reserve_standard_streams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    // The other way round than it is used for: a result that nobody gets is to be an error.
    ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);  // takes the lowest: fd
  }
}

}  // namespace streamo::core
