// Drops a process's rights: resource limits and a seccomp filter of its system calls.
#include "video/worker/sandbox.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <vector>

namespace streamo::video {
namespace {

constexpr rlim_t kMaxDescriptors = 32;
// The shared memory holds one picture (kMaxPicturePixels, RGB).
constexpr rlim_t kMaxFileBytes = rlim_t{600} << 20;

// Reading and writing is by descriptor, of which it has only what it was given.
constexpr uint32_t kAllowedCalls[] = {
    SYS_read,
    SYS_readv,
    SYS_pread64,
    SYS_write,
    SYS_writev,
    SYS_pwrite64,
    SYS_sendmsg,
    SYS_sendto,
    SYS_recvmsg,
    SYS_recvfrom,
    SYS_poll,
    SYS_ppoll,
    SYS_lseek,
    SYS_ftruncate,
    SYS_close,
    SYS_dup,
    SYS_fstat,
    SYS_stat,
    SYS_newfstatat,
    SYS_statx,
    SYS_mmap,
    SYS_munmap,
    SYS_mprotect,
    SYS_mremap,
    SYS_madvise,
    SYS_brk,
    SYS_futex,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_getrandom,
    SYS_getpid,
    SYS_gettid,
    SYS_clock_gettime,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_time,
    SYS_alarm,
    SYS_setitimer,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    SYS_restart_syscall,
    SYS_exit,
    SYS_exit_group,
};

class Filter {
 public:
  void load(size_t offset) {
    add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)));
  }
  void load_argument(int i) {  // its low half
    load(offsetof(seccomp_data, args) + sizeof(uint64_t) * static_cast<size_t>(i));
  }
  void end(uint32_t action) { add(BPF_STMT(BPF_RET | BPF_K, action)); }
  // Ends with `action` where what was loaded is `value`, or has its bits.
  void end_if_equal(uint32_t value, uint32_t action) {
    add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
    end(action);
  }
  void end_if_set(uint32_t bits, uint32_t action) {
    add(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1));
    end(action);
  }
  // Where what was loaded is not `value`, skips the next `count` instructions.
  void unless_equal(uint32_t value, uint8_t count) {
    add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, count));
  }
  bool install() {
    const sock_fprog program{static_cast<unsigned short>(code_.size()), code_.data()};
    return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
  }

 private:
  void add(sock_filter instruction) { code_.push_back(instruction); }

  std::vector<sock_filter> code_;
};

bool install_filter() {
  constexpr uint32_t kDenied = SECCOMP_RET_ERRNO | EPERM, kUnknown = SECCOMP_RET_ERRNO | ENOSYS;
  Filter filter;
  filter.load(offsetof(seccomp_data, arch));
  filter.unless_equal(AUDIT_ARCH_X86_64, 1);
  filter.load(offsetof(seccomp_data, nr));  // else: the number of the architecture, no call's
  for (const uint32_t call : kAllowedCalls) filter.end_if_equal(call, SECCOMP_RET_ALLOW);
  filter.end_if_equal(SYS_clone3, kUnknown);  // then it is tried by clone, whose flags can be seen
  filter.unless_equal(SYS_clone, 4);
  filter.load_argument(0);
  filter.end_if_set(CLONE_THREAD, SECCOMP_RET_ALLOW);
  filter.end(kDenied);
  for (const uint32_t call : {SYS_tgkill, SYS_kill}) {  // itself alone, as abort() does
    filter.unless_equal(call, 4);
    filter.load_argument(0);
    filter.end_if_equal(static_cast<uint32_t>(::getpid()), SECCOMP_RET_ALLOW);
    filter.end(kDenied);
  }
  filter.end(kDenied);
  return filter.install();
}

bool limit(__rlimit_resource resource, rlim_t value) {
  const rlimit both{value, value};
  return ::setrlimit(resource, &both) == 0;
}

}  // namespace

bool enter_sandbox(int64_t max_bytes) {
  if (!limit(RLIMIT_CORE, 0) || !limit(RLIMIT_NOFILE, kMaxDescriptors) ||
      !limit(RLIMIT_FSIZE, kMaxFileBytes)) {
    return false;
  }
  if (kMemoryIsLimited && !limit(RLIMIT_AS, static_cast<rlim_t>(max_bytes))) return false;
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && install_filter();
}

}  // namespace streamo::video
