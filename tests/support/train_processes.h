// The processes of one `streamo train`, which a test can send signals to while they run.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "support/free_port.h"
#include "support/run_command.h"

namespace streamo::test {

class TrainProcesses {
 public:
  struct Setup {
    std::filesystem::path folder;        // where they start
    std::vector<std::string> arguments;  // of `streamo train`
    int ranks = 1;
    std::map<std::string, std::string> environment;
    int faulty_rank = 0;  // the one that gets STREAMO_FAULT, if that is in `environment`
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
  // killed: exit code 137.
  std::vector<CommandResult> wait(std::chrono::milliseconds limit = std::chrono::seconds(120)) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    std::vector<CommandResult> results;
    for (size_t rank = 0; rank < processes_.size(); ++rank) {
      Process& process = processes_[rank];
      while (!ended(process)) {
        if (std::chrono::steady_clock::now() >= deadline) ::kill(process.pid, SIGKILL);
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
      const int status = process.status;
      results.push_back(
          {.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status),
           .out = read(output(static_cast<int>(rank), "out")),
           .err = read(output(static_cast<int>(rank), "err"))});
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

  static bool ended(Process& process) {
    if (!process.over && ::waitpid(process.pid, &process.status, WNOHANG) == process.pid)
      process.over = true;
    return process.over;
  }

  std::filesystem::path output(int rank, const char* stream) const {
    return setup_.folder / fmt::format("rank-{}.{}", rank, stream);
  }

  std::vector<std::string> environment_of(int rank) const {
    std::vector<std::string> variables = {"OMP_NUM_THREADS=1"};
    for (const auto& [name, value] : setup_.environment) {
      if (name != "STREAMO_FAULT" || rank == setup_.faulty_rank)
        variables.push_back(name + "=" + value);
    }
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
    return variables;
  }

  pid_t start(int rank) const {
    // All made before the fork: between it and exec only system calls are safe.
    std::vector<std::string> words = {"env"};
    for (const std::string& variable : environment_of(rank)) words.push_back(variable);
    words.insert(words.end(), {STREAMO_BINARY, "train"});
    words.insert(words.end(), setup_.arguments.begin(), setup_.arguments.end());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const std::string out = output(rank, "out"), err = output(rank, "err");
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
