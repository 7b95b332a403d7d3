// The processes of one `streamo train`, as its launcher would start them; a test can send them
// signals while they run.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "support/free_port.h"
#include "support/run_command.h"

namespace streamo::test {

// What one rank is given beside the arguments of all and the launch variables.
struct OwnOfRank {
  std::map<std::string, std::string> environment = {};
  std::vector<std::string> arguments = {};
  std::vector<std::string> prefix = {};  // words before the command, which they run in their place
};

inline OwnOfRank fault(const std::string& what) {
  return {.environment = {{"STREAMO_FAULT", what}}};
}

class TrainProcesses {
 public:
  struct Setup {
    std::filesystem::path folder;        // where they start, and what they print is kept
    std::vector<std::string> arguments;  // of `streamo train`
    int ranks = 1;
    std::function<OwnOfRank(int rank)> own = [](int) { return OwnOfRank(); };
    std::chrono::seconds time_to_follow{12};  // as their launcher grants it
  };

  explicit TrainProcesses(Setup setup) : setup_(std::move(setup)), port_(free_port()) {
    for (int rank = 0; rank < setup_.ranks; ++rank) processes_.push_back({start(rank)});
  }
  ~TrainProcesses() { wait(std::chrono::seconds(0)); }
  TrainProcesses(const TrainProcesses&) = delete;
  TrainProcesses& operator=(const TrainProcesses&) = delete;

  // False when that process has ended before.
  bool signal(int rank, int number) {
    Process& process = processes_[static_cast<size_t>(rank)];
    if (ended(process)) return false;
    return ::kill(process.pid, number) == 0;
  }

  // What they printed and how they ended, in order of the ranks. What still runs after `limit` is
  // killed (exit code 137), and as by any launcher what still runs time_to_follow after one failed:
  // a process that dies before all have come together is unknown to the others.
  std::vector<CommandResult> wait(std::chrono::milliseconds limit = std::chrono::seconds(120)) {
    auto deadline = std::chrono::steady_clock::now() + limit;
    for (bool all_ended = false, failed = false; !all_ended;) {
      all_ended = true;
      const bool late = std::chrono::steady_clock::now() >= deadline;
      for (Process& process : processes_) {
        if (!ended(process)) {
          all_ended = false;
          if (late) ::kill(process.pid, SIGKILL);
        } else if (!failed && exit_code(process) != 0 && exit_code(process) != kStopped) {
          failed = true;
          deadline = std::min(deadline, std::chrono::steady_clock::now() + setup_.time_to_follow);
        }
      }
      if (!all_ended) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    std::vector<CommandResult> results;
    for (size_t i = 0; i < processes_.size(); ++i) {
      const auto rank = static_cast<int>(i);
      results.push_back({.exit_code = exit_code(processes_[i]),
                         .out = read(output(rank, "out")),
                         .err = read(output(rank, "err"))});
    }
    return results;
  }

  // Until `text` is in a file of the folder or `limit` is over; true when it is there.
  bool wait_for(const std::filesystem::path& file, const std::string& text,
                std::chrono::seconds limit = std::chrono::seconds(60)) const {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (std::chrono::steady_clock::now() < deadline) {
      if (read(setup_.folder / file).find(text) != std::string::npos) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }

  static std::string read(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  struct Process {
    pid_t pid;
    bool over = false;
    int status = 0;
  };

  static constexpr int kStopped = 20;  // and saved: the others do the same

  static int exit_code(const Process& process) {
    return WIFSIGNALED(process.status) ? 128 + WTERMSIG(process.status)
                                       : WEXITSTATUS(process.status);
  }

  static bool ended(Process& process) {
    if (!process.over && ::waitpid(process.pid, &process.status, WNOHANG) == process.pid)
      process.over = true;
    return process.over;
  }

  std::filesystem::path output(int rank, const char* stream) const {
    return setup_.folder / fmt::format("rank-{}.{}", rank, stream);
  }

  std::vector<std::string> rank_environment(int rank) const {
    std::vector<std::string> variables = {"OMP_NUM_THREADS=1"};
    if (setup_.ranks > 1) {
      for (const auto& [name, value] :
           std::map<std::string, int>{{"RANK", rank},
                                      {"LOCAL_RANK", rank},
                                      {"WORLD_SIZE", setup_.ranks},
                                      {"LOCAL_WORLD_SIZE", setup_.ranks},
                                      {"MASTER_PORT", port_}})
        variables.push_back(fmt::format("{}={}", name, value));
      variables.emplace_back("MASTER_ADDR=127.0.0.1");
    }
    for (const auto& [name, value] : setup_.own(rank).environment)
      variables.push_back(name + "=" + value);
    return variables;
  }

  pid_t start(int rank) const {
    // All made before the fork: between it and exec only system calls are safe.
    const OwnOfRank own = setup_.own(rank);
    std::vector<std::string> words = own.prefix;
    words.emplace_back("env");
    for (const std::string& variable : rank_environment(rank)) words.push_back(variable);
    words.insert(words.end(), {STREAMO_BINARY, "train"});
    words.insert(words.end(), setup_.arguments.begin(), setup_.arguments.end());
    words.insert(words.end(), own.arguments.begin(), own.arguments.end());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const std::string out = output(rank, "out"), err = output(rank, "err");
    for (const std::string& former : {out, err})  // a signal may come before it opens its own
      std::filesystem::remove(former);
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // with the test
    const int null = ::open("/dev/null", O_RDONLY);
    const int out_fd = ::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    const int err_fd = ::open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (::dup2(null, 0) == 0 && ::dup2(out_fd, 1) == 1 && ::dup2(err_fd, 2) == 2 &&
        ::chdir(setup_.folder.c_str()) == 0)
      ::execvp(arguments[0], arguments.data());
    std::_Exit(99);
  }

  Setup setup_;
  int port_;
  std::vector<Process> processes_;
};

}  // namespace streamo::test
