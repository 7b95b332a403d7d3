#include "streamo/core/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "streamo/core/error.h"
#include "streamo/core/fault_point.h"

namespace streamo::core {
namespace fs = std::filesystem;
namespace {

constexpr size_t kBufferBytes = 1 << 20;
constexpr std::string_view kTemporary = ".tmp-";

[[noreturn]] void throw_disk(const char* action, const fs::path& path, int error) {
  std::string hint = error == ENOSPC ? "free some space or choose another folder"
                                     : "check that the folder exists and may be written";
  throw Error(ErrorKind::kDisk, fmt::format("cannot {}: {}", action, std::strerror(error)),
              path.string(), hint);
}

fs::path temporary_name(const fs::path& path) {
  return path.parent_path() /
         fmt::format(".{}{}{}", path.filename().string(), kTemporary, ::getpid());
}

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

void rename_and_sync(const fs::path& from, const fs::path& to) {
  fault_point("file.rename");
  if (::rename(from.c_str(), to.c_str()) != 0) throw_disk("rename", to, errno);
  sync_path(folder_of(to));
}

void remove_tree(const fs::path& path) {
  fault_point("file.remove");
  std::error_code error;
  fs::remove_all(path, error);
  if (error) throw_disk("remove", path, error.value());
}

// A folder in the place of another: at no moment is neither there.
void exchange_and_sync(const fs::path& from, const fs::path& to) {
  fault_point("file.rename");
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) != 0) {
    if (errno != EINVAL && errno != ENOSYS) throw_disk("rename", to, errno);
    remove_directory_atomic(to);  // a file system that cannot exchange (NFS): a moment without
    return rename_and_sync(from, to);
  }
  sync_path(folder_of(to));
  remove_tree(from);
}

}  // namespace

std::string read_file(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    throw Error(ErrorKind::kData, fmt::format("cannot read: {}", std::strerror(errno)),
                path.string(), "check the path");
  }
  std::string content;
  std::string chunk(kBufferBytes, '\0');
  for (;;) {
    const ssize_t got = ::read(fd, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const int error = errno;
      ::close(fd);
      throw Error(ErrorKind::kData, fmt::format("cannot read: {}", std::strerror(error)),
                  path.string(),
                  error == EISDIR ? "this is a folder, give a file" : "check the file");
    }
    if (got == 0) break;
    content.append(chunk.data(), static_cast<size_t>(got));
  }
  ::close(fd);
  return content;
}

void write_file_atomic(const fs::path& path, std::string_view content) {
  AtomicWriter writer(path);
  writer.write(content);
  writer.commit();
}

AtomicWriter::AtomicWriter(fs::path path)
    : path_(std::move(path)), temporary_(temporary_name(path_)) {
  create_folders(folder_of(path_));
  fault_point("file.open");
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) throw_disk("create", path_, errno);
}

AtomicWriter::~AtomicWriter() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void AtomicWriter::write(std::string_view bytes) {
  buffer_.append(bytes);
  if (buffer_.size() >= kBufferBytes) flush();
}

void AtomicWriter::flush() {
  fault_point("file.write");
  const char* next = buffer_.data();
  size_t left = buffer_.size();
  while (left > 0) {
    const ssize_t put = ::write(fd_, next, left);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw_disk("write", path_, errno);
    next += put;
    left -= static_cast<size_t>(put);
  }
  buffer_.clear();
}

void AtomicWriter::commit() {
  flush();
  fault_point("file.sync");
  if (::fsync(fd_) != 0) throw_disk("flush to disk", path_, errno);
  ::close(fd_);
  fd_ = -1;
  rename_and_sync(temporary_, path_);
}

void sync_path(const fs::path& path) {
  fault_point("file.sync");
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw_disk("open", path, errno);
  const int result = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  if (result != 0) throw_disk("flush to disk", path, error);
}

void create_folders(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return;
  create_folders(folder_of(path));
  fault_point("file.mkdir");
  fs::create_directory(path, error);
  if (error) throw_disk("create the folder", path, error.value());
  sync_path(folder_of(path));
}

void write_directory_atomic(const fs::path& path,
                            const std::function<void(const fs::path&)>& fill) {
  const fs::path temporary = temporary_name(path);
  std::error_code error;
  fs::remove_all(temporary, error);
  try {
    create_folders(folder_of(path));
    fault_point("file.mkdir");
    fs::create_directory(temporary, error);
    if (error) throw_disk("create the folder", path, error.value());
    fill(temporary);
    for (const auto& entry : fs::recursive_directory_iterator(temporary)) sync_path(entry.path());
    sync_path(temporary);
    fs::exists(path) ? exchange_and_sync(temporary, path) : rename_and_sync(temporary, path);
  } catch (...) {
    fs::remove_all(temporary, error);
    throw;
  }
}

void remove_directory_atomic(const fs::path& path) {
  const fs::path temporary = temporary_name(path);
  std::error_code ignored;
  fs::remove_all(temporary, ignored);
  rename_and_sync(path, temporary);
  remove_tree(temporary);
}

void remove_temporaries(const fs::path& folder) {
  std::error_code ignored;
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.') && name.find(kTemporary) != std::string::npos)
      found.push_back(entry.path());
  }
  for (const fs::path& path : found) remove_tree(path);
}

std::string hash_bytes(std::string_view bytes) {
  return fmt::format("{:016x}", XXH3_64bits(bytes.data(), bytes.size()));
}

std::string hash_file(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw_disk("open", path, errno);
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(),
                                                                              XXH3_freeState);
  XXH3_64bits_reset(state.get());
  std::string chunk(kBufferBytes, '\0');
  ssize_t got = 0;
  while ((got = ::read(fd, chunk.data(), chunk.size())) > 0) {
    XXH3_64bits_update(state.get(), chunk.data(), static_cast<size_t>(got));
  }
  const int error = errno;
  ::close(fd);
  if (got < 0) throw_disk("read", path, error);
  return fmt::format("{:016x}", XXH3_64bits_digest(state.get()));
}

}  // namespace streamo::core
