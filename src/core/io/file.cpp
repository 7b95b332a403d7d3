// Write to a temporary, fsync, rename, fsync the folder. Folders that replace another are swapped
// with renameat2, so that a reader always finds a complete one.
#include "core/io/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "core/io/fault_point.h"
#include "core/io/system_error.h"
#include "core/log.h"
#include "core/process/progress.h"
#include "streamo/core/error.h"

namespace streamo::core {
namespace fs = std::filesystem;
namespace {

constexpr size_t kBufferBytes = 1 << 20;
// Flushed to disk piece by piece: what is written tells then how far a slow disk is.
constexpr size_t kPieceBytes = 64 << 20;

[[noreturn]] void throw_disk(const char* action, const fs::path& path, int error) {
  throw system_error(error, fmt::format("cannot {}", action), path.string());
}

fs::path parent_folder(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

void rename_and_sync(const fs::path& from, const fs::path& to) {
  fault_point("file.rename");
  if (::rename(from.c_str(), to.c_str()) != 0) throw_disk("rename", to, errno);
  sync_path(parent_folder(to));
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
  sync_path(parent_folder(to));
  remove_tree(from);
}

// Hands the whole file to `take`, a piece at a time. `of_the_file`: the kind of error when the file
// itself is to blame.
template <typename Take>
void read_pieces(const fs::path& path, ErrorKind of_the_file, const Take& take) {
  const int fd =
      system_call("read.open", [&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); });
  if (fd < 0) throw system_error(errno, "cannot read", path.string(), of_the_file);
  std::string chunk(kBufferBytes, '\0');
  ssize_t got = 0;
  do {
    got = system_call("read.bytes", [&] { return ::read(fd, chunk.data(), chunk.size()); });
    if (got > 0) take(std::string_view(chunk.data(), static_cast<size_t>(got)));
  } while (got > 0);
  const int error = errno;
  ::close(fd);
  if (got < 0) throw system_error(error, "cannot read", path.string(), of_the_file);
}

// The error names `path`, which is what was asked for.
void create_folders_for(const fs::path& path, const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> missing;
  for (fs::path above = folder; !fs::is_directory(above, error); above = parent_folder(above))
    missing.push_back(above);
  for (; !missing.empty(); missing.pop_back()) {
    fault_point("file.mkdir");
    fs::create_directory(missing.back(), error);
    if (error) throw_disk("create the folder", path, error.value());
    sync_path(parent_folder(missing.back()));
  }
}

}  // namespace

std::string read_file(const fs::path& path) {
  std::string content;
  read_pieces(path, ErrorKind::kData, [&](std::string_view piece) { content.append(piece); });
  return content;
}

void write_file_atomic(const fs::path& path, std::string_view content) {
  AtomicWriter writer(path);
  writer.write(content);
  writer.commit();
}

AtomicWriter::AtomicWriter(fs::path path)
    : path_(std::move(path)), temporary_(parent_folder(path_)) {
  create_folders_for(path_, parent_folder(path_));
  fault_point("file.open");
  fd_ = create_exclusively(temporary_, path_);
}

AtomicWriter::~AtomicWriter() {
  if (fd_ >= 0) ::close(fd_);
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
    const ssize_t put =
        system_call("bytes.write", [&] { return ::write(fd_, next, std::min(left, kPieceBytes)); });
    if (put < 0) throw_disk("write", path_, errno);
    next += put;
    left -= static_cast<size_t>(put);
    unsynced_ += static_cast<size_t>(put);
    if (unsynced_ >= kPieceBytes) {
      if (::fdatasync(fd_) != 0) throw_disk("flush to disk", path_, errno);
      unsynced_ = 0;
    }
    writing().note();
  }
  buffer_.clear();
}

void AtomicWriter::commit() {
  flush();
  fault_point("file.sync");
  if (::fsync(fd_) != 0) throw_disk("flush to disk", path_, errno);
  ::close(fd_);
  fd_ = -1;
  rename_and_sync(temporary_.path(), path_);
  temporary_.release();
}

bool unless_the_disk_fails(const std::function<void()>& write) {
  try {
    write();
    return true;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kDisk) throw;
    log_warning("{}; the run goes on without it", error.summary());
    return false;
  }
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
  create_folders_for(path, path);
}

void write_directory_atomic(const fs::path& path,
                            const std::function<void(const fs::path&)>& fill) {
  create_folders_for(path, parent_folder(path));
  Temporary temporary(parent_folder(path));
  const fs::path& folder = temporary.path();
  fault_point("file.mkdir");
  if (::mkdir(folder.c_str(), 0777) != 0) throw_disk("create the folder", path, errno);
  fill(folder);
  for (const auto& entry : fs::recursive_directory_iterator(folder)) sync_path(entry.path());
  sync_path(folder);
  if (fs::exists(path)) {
    exchange_and_sync(folder, path);
  } else {
    rename_and_sync(folder, path);
    temporary.release();
  }
}

void remove_directory_atomic(const fs::path& path) {
  const Temporary temporary(parent_folder(path));
  rename_and_sync(path, temporary.path());
  remove_tree(temporary.path());
}

std::string hash_bytes(std::string_view bytes) {
  return fmt::format("{:016x}", XXH3_64bits(bytes.data(), bytes.size()));
}

std::string hash_file(const fs::path& path) {
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(),
                                                                              XXH3_freeState);
  XXH3_64bits_reset(state.get());
  read_pieces(path, ErrorKind::kDisk, [&](std::string_view piece) {
    XXH3_64bits_update(state.get(), piece.data(), piece.size());
    writing().note();  // of what was written, mostly
  });
  return fmt::format("{:016x}", XXH3_64bits_digest(state.get()));
}

}  // namespace streamo::core
