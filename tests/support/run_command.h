// Runs a shell command and gives back what it printed: how the tests of the commands see the
// program.
#pragma once

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace streamo::test {

struct CommandResult {
  int exit_code = -1;  // 128 + signal when a signal ended it, as a shell reports it
  std::string out, err;
};

// `text` as one word of a shell command.
inline std::string shell_quote(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

// Runs `command` in sh and waits for it. Its input is empty: a command that asks would hang a test.
inline CommandResult run_command(const std::string& command) {
  namespace fs = std::filesystem;
  static std::atomic<int> counter{0};
  const fs::path stem =
      fs::temp_directory_path() / fmt::format("streamo-command-{}-{}", ::getpid(), counter++);
  const auto take = [](const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    fs::remove(path);
    return text;
  };
  const fs::path out = stem.string() + ".out";
  const fs::path err = stem.string() + ".err";
  const int status = std::system(fmt::format("( {} ) </dev/null >{} 2>{}", command,
                                             shell_quote(out.string()), shell_quote(err.string()))
                                     .c_str());
  CommandResult result;
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.exit_code = 128 + WTERMSIG(status);
  result.out = take(out);
  result.err = take(err);
  return result;
}

// The same in `folder`, which also takes relative paths and what the command writes. The command
// may be a list of them, jobs in the background included.
inline CommandResult run_in(const std::filesystem::path& folder, const std::string& command) {
  return run_command("cd " + shell_quote(folder.string()) + " || exit; " + command);
}

}  // namespace streamo::test
