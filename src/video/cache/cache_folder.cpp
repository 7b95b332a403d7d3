// Publishing by rename, and use times kept as modification times by the file server's clock, which
// all machines share.
#include "video/cache/cache_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <random>
#include <utility>

#include "core/io/fault_point.h"
#include "core/log.h"
#include "streamo/core/error.h"
#include "video/ffmpeg/open_file.h"

namespace streamo::video {
namespace fs = std::filesystem;
using core::Error;
using core::ErrorKind;
namespace {

constexpr std::string_view kTemporary = ".tmp-";
constexpr mode_t kForAll = 0666;  // less the umask: other users' runs share the folder
constexpr int64_t kMarkEveryNs = int64_t{3600} * 1'000'000'000;

[[noreturn]] void throw_disk(const char* action, const fs::path& path, int error) {
  throw Error(ErrorKind::kDisk, fmt::format("cannot {}: {}", action, std::strerror(error)),
              path.string());
}

// Host and process id are for people; two machines may share both, so chance decides.
std::string unique_writer() {
  std::array<char, 64> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  std::random_device random;
  return fmt::format("{}-{}-{:08x}{:08x}", host.data(), ::getpid(), random(), random());
}

int64_t modified_ns(const struct stat& status) {
  return int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

fs::path made_folder(fs::path folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error || !fs::is_directory(folder)) {
    throw Error(ErrorKind::kDisk,
                fmt::format("cannot make the frame cache's folder: {}",
                            error ? error.message() : "something else is there"),
                folder.string(), "choose another data.frame_cache");
  }
  return folder;
}

bool is_full_disk(const Error& error) {
  const std::string what = error.summary();
  return what.find(std::strerror(ENOSPC)) != what.npos ||
         what.find(std::strerror(EDQUOT)) != what.npos;
}

}  // namespace

// ".tmp-<writer>-<number>", of which the writer ends with a process id and chance.
bool is_temporary(const fs::path& path) {
  constexpr std::string_view kDigits = "0123456789", kHexDigits = "0123456789abcdef";
  constexpr size_t kChance = 16;
  const std::string name = path.filename().string();
  const size_t number = name.rfind('-');
  if (!name.starts_with(kTemporary) || number == name.npos || number < kChance + 1) return false;
  const size_t chance = number - kChance;
  return number + 1 < name.size() && name.find_first_not_of(kDigits, number + 1) == name.npos &&
         name[chance - 1] == '-' && name.find_first_not_of(kHexDigits, chance) == number;
}

bool is_entry(const fs::path& path) {
  constexpr size_t kDigits = 32;
  const std::string name = path.filename().string();
  const std::string suffix = name.substr(std::min(kDigits, name.size()));
  return name.find_first_not_of("0123456789abcdef") == kDigits &&
         (suffix == kFramesSuffix || suffix == kNoteSuffix) &&
         path.parent_path().filename() == name.substr(0, 2);
}

void CacheFolder::Output::write(std::string_view bytes, int64_t offset) {
  core::fault_point("frame_cache.write");
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd_, bytes.data(), bytes.size(), offset);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw_disk("write", "data.frame_cache", errno);
    bytes.remove_prefix(static_cast<size_t>(put));
    offset += put;
  }
}

void CacheFolder::Output::append(std::string_view bytes) {
  write(bytes, end_);
  end_ += static_cast<int64_t>(bytes.size());
}

void CacheFolder::Output::overwrite(std::string_view bytes) {
  write(bytes, 0);
}

CacheFolder::CacheFolder(fs::path folder, int64_t max_bytes)
    : folder_(made_folder(std::move(folder))),
      writer_(unique_writer()),
      started_ns_(filesystem_clock()),
      started_seconds_(core::monotonic_seconds()),
      space_(folder_, max_bytes, started_ns_) {}

// Machines' clocks differ from the file server's, which dates the files. A file is made to read it;
// where none can be made, there is nothing to date.
int64_t CacheFolder::filesystem_clock() {
  const fs::path probe = temporary_path(folder_ / "probe");
  const FileDescriptor file(
      ::open(probe.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kForAll));
  struct stat status = {};
  if (!file || ::fstat(file.get(), &status) != 0) {
    stop_writing(fmt::format("it cannot be written ({}) and is only read", std::strerror(errno)));
    return 0;
  }
  ::unlink(probe.c_str());
  return modified_ns(status);
}

fs::path CacheFolder::entry_path(const std::string& name) const {
  return folder_ / name.substr(0, 2) / name;  // 256 shelves: no folder gets too large to list
}

fs::path CacheFolder::temporary_path(const fs::path& path) {
  return path.parent_path() / fmt::format("{}{}-{}", kTemporary, writer_, next_temporary_++);
}

FileDescriptor CacheFolder::open(const std::string& name) const {
  // Others write to the folder, too: a pipe of that name would be waited for.
  FileDescriptor file = open_file(entry_path(name));
  struct stat status = {};
  if (!file || ::fstat(file.get(), &status) != 0) return file;
  const auto since_start =
      static_cast<int64_t>((core::monotonic_seconds() - started_seconds_) * 1e9);
  if (modified_ns(status) < std::max(started_ns_, started_ns_ + since_start - kMarkEveryNs)) {
    const std::array<timespec, 2> now = {timespec{0, UTIME_OMIT}, timespec{0, UTIME_NOW}};
    ::futimens(file.get(), now.data());  // another user's file may refuse: it then looks older
  }
  return file;
}

bool CacheFolder::write(const std::string& name, const Fill& fill) {
  const fs::path path = entry_path(name);
  const fs::path temporary = temporary_path(path);
  std::error_code error;
  fs::create_directories(path.parent_path(), error);  // if it fails, open() says why
  FileDescriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kForAll));
  if (!file) throw_disk("create a file", path.parent_path(), errno);
  bool published = false;
  try {
    Output output(file.get());
    fill(output);
    struct stat status = {};
    if (::fstat(file.get(), &status) != 0 || !file.close()) throw_disk("write", path, errno);
    core::fault_point("frame_cache.rename");
    if (!space_.take(status.st_size)) {
      stop_writing("this run needs more than data.frame_cache_max_gb");
    } else if (::rename(temporary.c_str(), path.c_str()) != 0) {
      throw_disk("rename", path, errno);
    } else {
      published = true;
    }
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  if (!published) ::unlink(temporary.c_str());
  return published;
}

bool CacheFolder::publish(const std::string& name, int64_t about_bytes, const Fill& fill) {
  if (!writing_) return false;
  const int64_t missing = about_bytes - space_.free_bytes();
  if (missing > 0 && space_.evict(missing) < missing) {
    stop_writing(fmt::format("its disk is nearly full: {:.1f} MB more are needed",
                             static_cast<double>(missing) / 1e6));
    return false;
  }
  for (bool again = true;; again = false) {
    try {
      return write(name, fill);
    } catch (const Error& failed) {
      if (again && is_full_disk(failed) && space_.evict(about_bytes) > 0) continue;
      stop_writing(failed.summary());
      return false;
    }
  }
}

void CacheFolder::stop_writing(const std::string& reason) {
  const std::lock_guard lock(reason_mutex_);
  if (!writing_.exchange(false)) return;
  reason_ = fmt::format("{}, {}", reason, folder_.string());
  core::log_warning(
      "frame cache: {}; what is in it is used, and the rest is decoded each time it is needed",
      reason_);
}

std::string CacheFolder::why_not_writing() const {
  const std::lock_guard lock(reason_mutex_);
  return reason_;
}

}  // namespace streamo::video
