// Records what a piece of work does to the files of a folder, system call by system call, as the
// kernel sees it (ptrace): whatever library makes the call, in whatever thread.
#pragma once

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace streamo::test {

// One call that succeeded. Paths are relative to the folder.
struct FileOperation {
  enum class Kind { kCreate, kMakeFolder, kContent, kSync, kRename, kExchange, kRemove };
  Kind kind;
  std::filesystem::path path;
  std::filesystem::path to = {};  // of a rename and an exchange
  std::string content = {};       // the whole file after the call
};

class SystemCallRecorder {
 public:
  explicit SystemCallRecorder(const std::filesystem::path& folder)
      : folder_(std::filesystem::canonical(folder)) {}

  // In a process of its own, in the order in which the calls ended. nullopt: no tracing here (a
  // kernel before 5.3, or it is forbidden). Throws when the work fails, and at a call that would
  // change the files in a way this recorder does not know.
  std::optional<std::vector<FileOperation>> record(const std::function<void()>& work) {
    const pid_t child = ::fork();
    if (child == 0) run(work);
    int status = 0;
    if (::waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) return std::nullopt;
    const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                         PTRACE_O_TRACEVFORK | PTRACE_O_EXITKILL;
    if (::ptrace(PTRACE_SETOPTIONS, child, 0, options) != 0) return std::nullopt;
    follow(child);
    return operations_;
  }

 private:
  using Kind = FileOperation::Kind;
  using Path = std::filesystem::path;
  using CallInfo = __ptrace_syscall_info;

  [[noreturn]] static void run(const std::function<void()>& work) {
    if (::ptrace(PTRACE_TRACEME, 0, 0, 0) != 0) std::_Exit(2);
    std::raise(SIGSTOP);
    try {
      work();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "the recorded work failed: %s\n", error.what());
      std::_Exit(1);
    }
    std::_Exit(0);
  }

  void follow(pid_t child) {
    ::ptrace(PTRACE_SYSCALL, child, 0, 0);
    for (int status = 0;;) {
      const pid_t pid = ::waitpid(-1, &status, __WALL);
      if (pid < 0) throw std::runtime_error("the recorded process is lost");
      if (!WIFSTOPPED(status)) {
        if (pid != child) continue;  // a thread has ended
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
        throw std::runtime_error("the recorded work failed, status " + std::to_string(status));
      }
      const int signal = WSTOPSIG(status);
      if (signal == (SIGTRAP | 0x80)) at_call(pid);
      const bool is_own = signal == (SIGTRAP | 0x80) || signal == SIGTRAP || signal == SIGSTOP;
      ::ptrace(PTRACE_SYSCALL, pid, 0, is_own ? 0 : signal);
    }
  }

  void at_call(pid_t pid) {
    CallInfo info{};
    if (::ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0)
      throw std::runtime_error("the kernel does not tell about system calls");
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
      entered_[pid] = info;
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT && !info.exit.is_error) {
      take(pid, entered_[pid].entry.nr, entered_[pid].entry.args, info.exit.rval);
    }
  }

  void take(pid_t pid, uint64_t call, const uint64_t* arguments, int64_t result) {
    const auto fd = [&](int i) { return static_cast<int>(arguments[i]); };
    const auto path = [&](int folder, int name) {
      return path_at(pid, folder < 0 ? AT_FDCWD : fd(folder), arguments[name]);
    };
    switch (call) {
      case SYS_openat:
        return opened(pid, static_cast<int>(result), arguments[2]);
      case SYS_write:
      case SYS_pwrite64:
      case SYS_writev:
      case SYS_pwritev:
      case SYS_ftruncate:
      case SYS_fallocate:
      case SYS_sendfile:
        return written(pid, fd(0));
      case SYS_copy_file_range:
        return written(pid, fd(2));
      case SYS_fsync:
      case SYS_fdatasync:
        return add({Kind::kSync, path_of(pid, fd(0))});
      case SYS_unlinkat:
        return add({Kind::kRemove, path(0, 1)});
      case SYS_mkdirat:
        return add({Kind::kMakeFolder, path(0, 1)});
      case SYS_renameat:
        return add({Kind::kRename, path(0, 1), path(2, 3)});
      case SYS_renameat2:
        return add({arguments[4] & RENAME_EXCHANGE ? Kind::kExchange : Kind::kRename, path(0, 1),
                    path(2, 3)});
      case SYS_linkat:
        return unknown("linkat", path(2, 3));
      case SYS_symlinkat:
        return unknown("symlinkat", path(1, 2));
      case SYS_mmap:
        if ((arguments[2] & PROT_WRITE) && (arguments[3] & MAP_SHARED) && fd(4) >= 0)
          unknown("mmap", path_of(pid, fd(4)));
        return;
#ifdef __x86_64__  // newer architectures have only those above
      case SYS_open:
        return opened(pid, static_cast<int>(result), arguments[1]);
      case SYS_creat:
        return opened(pid, static_cast<int>(result), O_CREAT | O_TRUNC);
      case SYS_unlink:
      case SYS_rmdir:
        return add({Kind::kRemove, path(-1, 0)});
      case SYS_mkdir:
        return add({Kind::kMakeFolder, path(-1, 0)});
      case SYS_rename:
        return add({Kind::kRename, path(-1, 0), path(-1, 1)});
      case SYS_link:
        return unknown("link", path(-1, 1));
      case SYS_symlink:
        return unknown("symlink", path(-1, 1));
#endif
      default:
        return;
    }
  }

  void opened(pid_t pid, int fd, uint64_t flags) {
    if (flags & O_CREAT) add({Kind::kCreate, path_of(pid, fd)});
    if (flags & O_TRUNC) written(pid, fd);
  }
  void written(pid_t pid, int fd) {
    std::ifstream file(link_of(pid, fd), std::ios::binary);
    add({Kind::kContent, path_of(pid, fd), {}, {std::istreambuf_iterator<char>(file), {}}});
  }
  void unknown(const char* call, const Path& path) const {
    if (relative(path)) throw std::logic_error(std::string("not recorded: ") + call);
  }
  void add(FileOperation operation) {
    const auto path = relative(operation.path);
    if (!path) return;
    operation.path = *path;
    if (!operation.to.empty()) operation.to = relative(operation.to).value();
    operations_.push_back(std::move(operation));
  }

  std::optional<Path> relative(const Path& path) const {
    const Path below = path.lexically_normal().lexically_relative(folder_);
    if (below.empty() || *below.begin() == "..") return std::nullopt;
    return below;
  }

  static Path link_of(pid_t pid, int fd) {
    return "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(fd);
  }
  static Path path_of(pid_t pid, int fd) {
    std::error_code gone;
    return std::filesystem::read_symlink(link_of(pid, fd), gone);
  }
  static Path path_at(pid_t pid, int folder, uint64_t address) {
    std::array<char, 4096> text{};
    std::ifstream memory("/proc/" + std::to_string(pid) + "/mem", std::ios::binary);
    memory.seekg(static_cast<std::streamoff>(address));
    memory.getline(text.data(), text.size(), '\0');
    const Path path = text.data();
    if (path.is_absolute()) return path;
    return (folder == AT_FDCWD
                ? std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/cwd")
                : path_of(pid, folder)) /
           path;
  }

  Path folder_;
  std::map<pid_t, CallInfo> entered_;
  std::vector<FileOperation> operations_;
};

}  // namespace streamo::test
