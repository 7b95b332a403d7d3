// Records what a piece of work does to the files of a folder, system call by system call, as the
// kernel sees it (ptrace): whatever library makes the call, in whatever thread. Or makes one of
// these calls fail.
#pragma once

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace streamo::test {

// One call. Paths are relative to the folder.
struct FileOperation {
  enum class Kind { kOpenToWrite, kMakeFolder, kWrite, kSync, kRename, kExchange, kRemove };
  Kind kind;
  std::filesystem::path path;
  std::filesystem::path to = {};  // of a rename and an exchange
  std::string content = {};       // of a file opened or written: all of it, after the call
};

class SystemCallRecorder {
 public:
  explicit SystemCallRecorder(const std::filesystem::path& folder)
      : folder_(std::filesystem::canonical(folder)) {}

  // In a process of its own. What succeeded, in the order in which the calls ended. nullopt: no
  // tracing here (a kernel before 5.3, or it is forbidden). Throws when the work fails, and at a
  // call that would change the files in a way this recorder does not know.
  std::optional<std::vector<FileOperation>> record(const std::function<void()>& work) {
    const auto code = follow([&] {
      work();
      return 0;
    });
    if (!code) return std::nullopt;
    if (*code != 0) throw std::runtime_error("the recorded work failed");
    return operations_;
  }

#ifdef __x86_64__
  // The same, but the `number`-th of these calls, from 1, is not carried out and fails with
  // `error`. What the work returns; kNoSuchCall when there are not so many.
  static constexpr int kNoSuchCall = -1;
  std::optional<int> exit_code_with_failure(const std::function<int()>& work, size_t number,
                                            int error) {
    failing_ = number;
    error_ = error;
    const auto code = follow(work);
    return code && calls_ < number ? kNoSuchCall : code;
  }
#endif

 private:
  using Kind = FileOperation::Kind;
  using Path = std::filesystem::path;
  using CallInfo = __ptrace_syscall_info;

  [[noreturn]] static void run(const std::function<int()>& work) {
    if (::ptrace(PTRACE_TRACEME, 0, 0, 0) != 0) std::_Exit(2);
    std::raise(SIGSTOP);
    try {
      std::_Exit(work());
    } catch (const std::exception& error) {
      std::fprintf(stderr, "the recorded work failed: %s\n", error.what());
      std::_Exit(1);
    }
  }

  // Its exit code.
  std::optional<int> follow(const std::function<int()>& work) {
    const pid_t child = ::fork();
    if (child == 0) run(work);
    int status = 0;
    if (::waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) return std::nullopt;
    const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                         PTRACE_O_TRACEVFORK | PTRACE_O_EXITKILL;
    if (::ptrace(PTRACE_SETOPTIONS, child, 0, options) != 0) return std::nullopt;
    ::ptrace(PTRACE_SYSCALL, child, 0, 0);
    for (;;) {
      const pid_t pid = ::waitpid(-1, &status, __WALL);
      if (pid < 0) throw std::runtime_error("the recorded process is lost");
      if (!WIFSTOPPED(status)) {
        if (pid != child) continue;  // a thread has ended
        if (WIFEXITED(status)) return WEXITSTATUS(status);
        throw std::runtime_error("a signal ended the recorded work");
      }
      const int signal = WSTOPSIG(status);
      constexpr int kCall = SIGTRAP | 0x80;
      if (signal == kCall) at_call(pid);
      const bool is_ptraces = signal == kCall || signal == SIGTRAP || signal == SIGSTOP;
      ::ptrace(PTRACE_SYSCALL, pid, 0, is_ptraces ? 0 : signal);
    }
  }

  void at_call(pid_t pid) {
    CallInfo info{};
    if (::ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0)
      throw std::runtime_error("the kernel does not tell about system calls");
    CallInfo& entered = entered_[pid];
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
      entered = info;
      if (failing_ > 0 && operation(pid, entered) && ++calls_ == failing_) refuse(pid);
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
      if (pid == refused_) return fail(pid);
      if (!info.exit.is_error) take(operation(pid, entered));
    }
  }

#ifdef __x86_64__
  void refuse(pid_t pid) {
    ::ptrace(PTRACE_POKEUSER, pid, offsetof(user_regs_struct, orig_rax), -1L);  // no such call
    refused_ = pid;
  }
  void fail(pid_t pid) {
    ::ptrace(PTRACE_POKEUSER, pid, offsetof(user_regs_struct, rax), -static_cast<long>(error_));
    refused_ = 0;
  }
#else
  void refuse(pid_t) {}
  void fail(pid_t) {}
#endif

  void take(std::optional<FileOperation> done) {
    if (!done) return;
    if (done->kind == Kind::kOpenToWrite || done->kind == Kind::kWrite) {
      std::ifstream file(folder_ / done->path, std::ios::binary);
      done->content.assign(std::istreambuf_iterator<char>(file), {});
    }
    operations_.push_back(*std::move(done));
  }

  // What the call does to files of the folder; nullopt: nothing.
  std::optional<FileOperation> operation(pid_t pid, const CallInfo& call) const {
    std::optional<FileOperation> found = operation_anywhere(pid, call);
    if (!found) return std::nullopt;
    const auto path = relative(found->path);
    if (!path) return std::nullopt;
    found->path = *path;
    if (!found->to.empty()) found->to = relative(found->to).value();
    return found;
  }

  std::optional<FileOperation> operation_anywhere(pid_t pid, const CallInfo& call) const {
    const auto& arguments = call.entry.args;
    const auto fd = [&](int i) { return path_of(pid, static_cast<int>(arguments[i])); };
    const auto at = [&](int folder, int name) {
      return path_at(pid, static_cast<int>(arguments[folder]), arguments[name]);
    };
    const auto here = [&](int name) { return path_at(pid, AT_FDCWD, arguments[name]); };
    const auto opened = [](const Path& path, uint64_t flags) -> std::optional<FileOperation> {
      if (!(flags & (O_CREAT | O_TRUNC))) return std::nullopt;
      return FileOperation{Kind::kOpenToWrite, path};
    };
    using Operation = FileOperation;
    switch (call.entry.nr) {
      case SYS_openat:
        return opened(at(0, 1), arguments[2]);
      case SYS_write:
      case SYS_pwrite64:
      case SYS_writev:
      case SYS_pwritev:
      case SYS_ftruncate:
      case SYS_fallocate:
      case SYS_sendfile:
        return Operation{Kind::kWrite, fd(0)};
      case SYS_copy_file_range:
        return Operation{Kind::kWrite, fd(2)};
      case SYS_fsync:
      case SYS_fdatasync:
        return Operation{Kind::kSync, fd(0)};
      case SYS_unlinkat:
        return Operation{Kind::kRemove, at(0, 1)};
      case SYS_mkdirat:
        return Operation{Kind::kMakeFolder, at(0, 1)};
      case SYS_renameat:
        return Operation{Kind::kRename, at(0, 1), at(2, 3)};
      case SYS_renameat2:
        return Operation{arguments[4] & RENAME_EXCHANGE ? Kind::kExchange : Kind::kRename, at(0, 1),
                         at(2, 3)};
      case SYS_linkat:
        return unknown("linkat", at(2, 3));
      case SYS_symlinkat:
        return unknown("symlinkat", at(1, 2));
      case SYS_mmap:
        if ((arguments[2] & PROT_WRITE) && (arguments[3] & MAP_SHARED)) unknown("mmap", fd(4));
        return std::nullopt;
#ifdef __x86_64__  // newer architectures have only those above
      case SYS_open:
        return opened(here(0), arguments[1]);
      case SYS_creat:
        return opened(here(0), O_CREAT);
      case SYS_unlink:
      case SYS_rmdir:
        return Operation{Kind::kRemove, here(0)};
      case SYS_mkdir:
        return Operation{Kind::kMakeFolder, here(0)};
      case SYS_rename:
        return Operation{Kind::kRename, here(0), here(1)};
      case SYS_link:
        return unknown("link", here(1));
      case SYS_symlink:
        return unknown("symlink", here(1));
#endif
      default:
        return std::nullopt;
    }
  }

  std::optional<FileOperation> unknown(const char* call, const Path& path) const {
    if (relative(path)) throw std::logic_error(std::string("not recorded: ") + call);
    return std::nullopt;
  }

  std::optional<Path> relative(const Path& path) const {
    const Path below = path.lexically_normal().lexically_relative(folder_);
    if (below.empty() || *below.begin() == "..") return std::nullopt;
    return below;
  }

  static std::string process(pid_t pid) {
    return "/proc/" + std::to_string(pid);
  }
  static Path path_of(pid_t pid, int fd) {
    std::error_code none;
    return std::filesystem::read_symlink(process(pid) + "/fd/" + std::to_string(fd), none);
  }
  static Path path_at(pid_t pid, int folder, uint64_t address) {
    std::array<char, 4096> text{};
    std::ifstream memory(process(pid) + "/mem", std::ios::binary);
    memory.seekg(static_cast<std::streamoff>(address));
    memory.getline(text.data(), text.size(), '\0');
    const Path path = text.data();
    if (path.is_absolute()) return path;
    return (folder == AT_FDCWD ? std::filesystem::read_symlink(process(pid) + "/cwd")
                               : path_of(pid, folder)) /
           path;
  }

  const Path folder_;
  std::map<pid_t, CallInfo> entered_;
  std::vector<FileOperation> operations_;
  size_t failing_ = 0, calls_ = 0;
  int error_ = 0;
  pid_t refused_ = 0;
};

}  // namespace streamo::test
