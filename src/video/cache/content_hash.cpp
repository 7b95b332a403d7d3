// XXH3-128 of the whole file, with fstat before and after: a file that changes meanwhile gets no
// hash.
#include "video/cache/content_hash.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <string_view>

#include "core/io/system_error.h"
#include "video/ffmpeg/file_descriptor.h"

namespace streamo::video {
namespace fs = std::filesystem;
namespace {

constexpr size_t kChunkBytes = 1 << 20;
constexpr int64_t kSettledAfterNs = 3'000'000'000;

int64_t nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

std::optional<FileState> to_file_state(const struct stat& status) {
  if (!S_ISREG(status.st_mode)) return std::nullopt;
  return FileState{.inode = status.st_ino,
                   .bytes = static_cast<uint64_t>(status.st_size),
                   .modified_ns = nanoseconds(status.st_mtim),
                   .changed_ns = nanoseconds(status.st_ctim)};
}

std::optional<FileState> to_file_state(int fd) {
  struct stat status = {};
  if (::fstat(fd, &status) != 0) return std::nullopt;
  return to_file_state(status);
}

std::string hex(XXH128_hash_t hash) {
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace

std::optional<FileState> file_state(const fs::path& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return to_file_state(status);
}

bool is_settled(const FileState& state) {
  const int64_t now = std::chrono::duration_cast<std::chrono::nanoseconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count();
  return std::max(state.modified_ns, state.changed_ns) < now - kSettledAfterNs;
}

core::Result<ContentHash> hash_content(const fs::path& path, TimeLimit& limit) {
  const auto unreadable = [&] {
    core::throw_if_of_the_machine(errno, "cannot be read", path.string());
    return core::Fault{fmt::format("{}: cannot be read ({})", path.string(), std::strerror(errno))};
  };
  // Not blocked by a FIFO that takes the file's place.
  const FileDescriptor file(core::system_call(
      "video.open", [&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); }));
  if (!file) return unreadable();
  const std::optional<FileState> before = to_file_state(file.get());
  if (!before) return core::Fault{path.string() + ": not a regular file"};
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(),
                                                                              XXH3_freeState);
  XXH3_128bits_reset(state.get());
  std::string chunk(kChunkBytes, '\0');
  for (;;) {
    const ssize_t got = core::system_call(
        "video.read", [&] { return ::read(file.get(), chunk.data(), chunk.size()); });
    if (got < 0) return unreadable();
    if (got == 0) break;
    if (limit.expired())
      return core::Fault{path.string() + ": it did not get on while it was read"};
    limit.renew();
    XXH3_128bits_update(state.get(), chunk.data(), static_cast<size_t>(got));
  }
  if (to_file_state(file.get()) != before) {
    return core::Fault{path.string() + ": it changed while it was read"};
  }
  return ContentHash{hex(XXH3_128bits_digest(state.get())), *before};
}

std::string hash_text(std::string_view text) {
  return hex(XXH3_128bits(text.data(), text.size()));
}

}  // namespace streamo::video
