// What a command was asked for, on stdout: all of it gets there, or the command fails.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace streamo::core {

// The reader of a pipe has gone, as in `streamo check ... | head`: nobody's mistake.
class ReaderGone : public std::exception {
 public:
  const char* what() const noexcept override { return "nobody reads the output any more"; }
};

// A piece of the result, control characters written out (printable.h). Both throw Error{kDisk} when
// stdout does not take it, ReaderGone for a closed pipe.
void write_result(std::string_view text);
// What has been written is with whoever reads along. main() ends each command with it.
void flush_results();

template <typename... Args>
void print_result(fmt::format_string<Args...> format, Args&&... args) {
  write_result(fmt::format(format, std::forward<Args>(args)...));
}

// For people only, as messages and what is redrawn on a terminal: written at once and as it is;
// what cannot be written is left out, since no run ends for want of a terminal.
void show(FILE* stream, std::string_view text);

// Gives each of the descriptors 0 to 2 that is closed something to stand for, so that no file that
// is opened later takes its place and gets our messages.
void reserve_standard_streams();

}  // namespace streamo::core
