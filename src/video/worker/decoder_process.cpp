// Starts decoder processes, sends them requests, and reports how they ended.
#include "video/worker/decoder_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "core/io/system_error.h"
#include "core/url.h"
#include "video/ffmpeg/input.h"
#include "video/ffmpeg/open_file.h"
#include "video/image/picture.h"
#include "video/worker/decoder_service.h"

namespace streamo::video {
namespace fs = std::filesystem;
namespace {

using core::Result;
using Clock = TimeLimit::Clock;

constexpr double kTimeToStart = 60;  // seconds, on a machine that is busy
constexpr std::chrono::milliseconds kLook{5};
constexpr int64_t kMaxPoll = 60'000;  // milliseconds; then again
constexpr auto kGrace =
    std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(kGraceSeconds));

// Nothing else of the environment reaches a process that strangers' files may take over.
std::vector<std::string> environment() {
  std::vector<std::string> kept;
  for (const char* name : {"LD_LIBRARY_PATH", "LD_PRELOAD", "STREAMO_FAULT", "ASAN_OPTIONS"}) {
    const char* value = std::getenv(name);
    if (value != nullptr) kept.push_back(std::string(name) + "=" + value);
  }
  return kept;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

// Above the numbers that it is to have in the process: there one must not take the other's place.
FileDescriptor out_of_the_way(const FileDescriptor& file) {
  return FileDescriptor(::fcntl(file.get(), F_DUPFD_CLOEXEC, kDecoderMemory + 1));
}

// Without forking this process, which may be large and hold a GPU. What is sent to our whole
// process group (Ctrl-C, the end of a job) is for us: we end it by closing the socket.
int spawn(const fs::path& program, int socket, int memory, pid_t& process) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
  posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, socket, kDecoderSocket);
  posix_spawn_file_actions_adddup2(&actions, memory, kDecoderMemory);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t ours;
  sigemptyset(&ours);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE})
    sigaddset(&ours, signal);
  posix_spawnattr_setsigmask(&attributes, &ours);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  std::vector<std::string> arguments = {program.string()}, variables = environment();
  const int error = ::posix_spawn(&process, program.c_str(), &actions, &attributes,
                                  pointers(arguments).data(), pointers(variables).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

[[noreturn]] void cannot_start(const fs::path& program, const std::string& why) {
  throw core::Error(core::ErrorKind::kUsage, "cannot start a process that decodes: " + why,
                    program.string(), "build streamo-decoder, or set data.decoder to thread");
}

[[noreturn]] void cannot_start(const fs::path& program, int error) {
  core::throw_if_of_the_machine(error, "cannot start a process that decodes", program.string());
  cannot_start(program, std::strerror(error));
}

std::string describe(int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == kCannotBeConfined)
    return "the system does not let it be confined (seccomp)";
  if (WIFEXITED(status)) return fmt::format("its decoder ended with {}", WEXITSTATUS(status));
  const int signal = WTERMSIG(status);
  if (signal == SIGKILL) return "its decoder was killed (SIGKILL; for want of memory, perhaps)";
  const char* name = ::sigabbrev_np(signal);
  return fmt::format("its decoder crashed (SIG{})", name != nullptr ? name : "?");
}

struct Pool {
  std::mutex mutex;
  fs::path program;
  std::vector<std::unique_ptr<DecoderProcess>> idle;
};

// Never destroyed: its processes end when this one does.
Pool& pool() {
  static auto& pool = *new Pool;  // NOLINT
  return pool;
}

// A process for one file, of the pool's, and given back to it if it can be used again.
class Lease {
 public:
  Lease() {
    {
      const std::lock_guard lock(pool().mutex);
      if (!pool().idle.empty()) {
        process_ = std::move(pool().idle.back());
        pool().idle.pop_back();
        return;
      }
    }
    process_ = std::make_unique<DecoderProcess>(pool().program);
  }
  ~Lease() {
    if (!process_->close_file()) return;
    const std::lock_guard lock(pool().mutex);
    pool().idle.push_back(std::move(process_));
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  DecoderProcess* operator->() { return process_.get(); }

 private:
  std::unique_ptr<DecoderProcess> process_;
};

// The file, opened for a process that cannot open it.
Result<FileDescriptor> open_for(const fs::path& path) {
  if (auto fault = missing_content(path)) return *std::move(fault);
  FileDescriptor file = open_file(core::local_file(path));
  if (!file) return file_fault(path, std::strerror(errno));
  return file;
}

class RemoteReader : public FrameReader {
 public:
  explicit RemoteReader(std::shared_ptr<FileWatch> watch) : watch_(std::move(watch)) {}

  std::optional<core::Fault> open(const SampleOptions& options) {
    const Result<FileDescriptor> file = open_for(watch_->path);
    if (!file) return file.fault();
    auto opened = process_->ask({DecoderRequest::Kind::kOpen, watch_->path.string(), options},
                                *watch_, file->get());
    if (!opened) return opened.fault();
    info_ = opened->info;
    // Memory will be taken for as many as it says.
    const double most = kMaxSeconds * options.fps + 1;
    if (info_.num_samples < 0 || static_cast<double>(info_.num_samples) > most)
      return process_->disbelieve(*watch_);
    counters_ = opened->counters;
    return std::nullopt;
  }

  const VideoInfo& info() const override { return info_; }
  DecodeCounters counters() const override { return counters_; }

  Result<std::optional<Frame>> next() override {
    auto reply = process_->ask({DecoderRequest::Kind::kNext}, *watch_);
    if (!reply) return reply.fault();
    counters_ = reply->counters;
    if (reply->kind == DecoderReply::Kind::kEnd) return std::optional<Frame>();
    auto pixels = process_->pixels(reply->frame, *watch_);
    if (!pixels) return pixels.fault();
    reply->frame.rgb = *std::move(pixels);
    return std::optional(std::move(reply->frame));
  }

 private:
  std::shared_ptr<FileWatch> watch_;
  Lease process_;
  VideoInfo info_;
  DecodeCounters counters_;
};

}  // namespace

void decode_in_processes(fs::path program) {
  const std::lock_guard lock(pool().mutex);
  if (program == pool().program) return;
  pool().program = std::move(program);
  pool().idle.clear();
}

fs::path decoder_program() {
  return fs::read_symlink("/proc/self/exe").replace_filename("streamo-decoder");
}

bool is_decoded_elsewhere(const fs::path& path) {
  return !pool().program.empty() && !core::is_url(path);
}

DecoderProcess::DecoderProcess(const fs::path& program) {
  int ends[2] = {-1, -1};
  if (core::system_call("decoder.start", [&] {
        return ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
      }) != 0)
    cannot_start(program, errno);
  socket_ = FileDescriptor(ends[0]);
  FileDescriptor other(ends[1]);
  memory_ = FileDescriptor(core::system_call(
      "decoder.memory", [] { return ::memfd_create("streamo-pictures", MFD_CLOEXEC); }));
  if (!memory_) cannot_start(program, errno);
  {
    const FileDescriptor socket = out_of_the_way(other), memory = out_of_the_way(memory_);
    other.close();
    if (const int error = spawn(program, socket.get(), memory.get(), process_); error != 0)
      cannot_start(program, error);
  }
  TimeLimit limit(kTimeToStart);
  const std::optional<std::string> ready = receive(limit);
  if (!ready || ready->empty()) cannot_start(program, end());
}

DecoderProcess::~DecoderProcess() {
  end();
}

// The next message; empty: it is gone; nullopt: the limit is up.
std::optional<std::string> DecoderProcess::receive(TimeLimit& limit) {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(limit.deadline() + kGrace - Clock::now());
    pollfd wanted{socket_.get(), POLLIN, 0};
    const int ready =
        ::poll(&wanted, 1, static_cast<int>(std::clamp<int64_t>(left.count(), 0, kMaxPoll)));
    if (ready > 0) return receive_message(socket_.get()).bytes;
    if (left.count() <= 0 && limit.expired()) return std::nullopt;
  }
}

Result<DecoderReply> DecoderProcess::ask(const DecoderRequest& request, FileWatch& watch,
                                         int file) {
  if (watch.limit.has_expired()) return time_limit_fault(watch, false);
  if (!ended_.empty()) return file_fault(watch.path, ended_);
  watch.limit.renew();
  std::optional<std::string> bytes = "";
  if (send_message(socket_.get(), encode(request), file)) bytes = receive(watch.limit);
  while (bytes && !bytes->empty()) {
    try {
      DecoderReply reply = decode_reply(*bytes);
      if (reply.kind != DecoderReply::Kind::kProgress) return take(std::move(reply), watch);
    } catch (const std::runtime_error&) {
      return disbelieve(watch);
    }
    watch.limit.renew();
    bytes = receive(watch.limit);
  }
  ended_ = end();
  return bytes ? file_fault(watch.path, ended_) : time_limit_fault(watch, false);
}

Result<DecoderReply> DecoderProcess::take(DecoderReply reply, FileWatch& watch) {
  for (std::string& message : reply.said) watch.log.add(std::move(message));
  watch.log.add_uncited(std::max<int64_t>(reply.said_more, 0));
  if (reply.kind == DecoderReply::Kind::kError)
    throw core::Error(static_cast<core::ErrorKind>(reply.error_kind), reply.reason);
  if (reply.kind != DecoderReply::Kind::kFault) return reply;
  watch.log.dismiss();
  return core::Fault{reply.reason};
}

Result<std::vector<uint8_t>> DecoderProcess::pixels(const Frame& frame, const FileWatch& watch) {
  const FrameSize size = frame.size;
  const bool is_sound =
      size.height > 0 && size.width > 0 && int64_t{size.height} * size.width <= kMaxPicturePixels;
  std::vector<uint8_t> rgb(is_sound ? static_cast<size_t>(size.height) * size.width * 3 : 0);
  size_t done = 0;
  while (done < rgb.size()) {
    const ssize_t got =
        ::pread(memory_.get(), rgb.data() + done, rgb.size() - done, static_cast<off_t>(done));
    if (got <= 0) break;
    done += static_cast<size_t>(got);
  }
  if (is_sound && done == rgb.size()) return rgb;
  return disbelieve(watch);
}

core::Fault DecoderProcess::disbelieve(const FileWatch& watch) {
  end();
  ended_ = "its decoder answered what makes no sense";
  return file_fault(watch.path, ended_);
}

bool DecoderProcess::close_file() {
  return ended_.empty() &&
         send_message(socket_.get(), encode(DecoderRequest{DecoderRequest::Kind::kClose}));
}

// Not waited for without end: what stands still in the kernel (a dead disk) cannot be killed.
std::string DecoderProcess::end() {
  if (process_ < 0) return ended_;
  ::kill(process_, SIGKILL);  // one that is crashing already keeps its own reason
  int status = 0;
  const auto deadline = Clock::now() + kGrace;
  pid_t gone = ::waitpid(process_, &status, WNOHANG);
  while (gone == 0 && Clock::now() < deadline) {
    std::this_thread::sleep_for(kLook);
    gone = ::waitpid(process_, &status, WNOHANG);
  }
  process_ = -1;
  return gone > 0 ? describe(status) : "its decoder cannot be ended";
}

Result<std::unique_ptr<FrameReader>> open_elsewhere(const fs::path& path,
                                                    const SampleOptions& options) {
  auto reader =
      std::make_unique<RemoteReader>(std::make_shared<FileWatch>(path, options.time_limit));
  if (auto fault = reader->open(options)) return *std::move(fault);
  return std::unique_ptr<FrameReader>(std::move(reader));
}

Result<Frame> picture_elsewhere(DecoderRequest::Kind kind, const fs::path& path,
                                const SampleOptions& options) {
  FileWatch watch(path, options.time_limit);
  const Result<FileDescriptor> file = open_for(path);
  if (!file) return file.fault();
  Lease process;
  auto reply = process->ask({kind, path.string(), options}, watch, file->get());
  if (!reply) return reply.fault();
  if (kind == DecoderRequest::Kind::kPictureSize) return std::move(reply->frame);
  auto pixels = process->pixels(reply->frame, watch);
  if (!pixels) return pixels.fault();
  reply->frame.rgb = *std::move(pixels);
  return std::move(reply->frame);
}

}  // namespace streamo::video
