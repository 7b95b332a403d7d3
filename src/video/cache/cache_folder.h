// A folder of files that many threads, processes and machines fill and read at once.
//
// No lock is needed: a file is written under a name of its own and renamed when it is whole, so a
// reader sees a whole file or none; who has it open may read on when it is replaced or removed
// (on some network file systems such a read fails: the caller then does without the cache). Nothing
// is flushed to the disk: what a power failure leaves is found out by the files' checksums.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "video/cache/cache_space.h"
#include "video/ffmpeg/file_descriptor.h"

namespace streamo::video {

// Whether the file is one that is being written, or was when its writer died.
bool is_temporary(const std::filesystem::path& path);
// The suffixes that names in the folder have. A file of another kind, or not on the shelf of its
// name, is none of ours, and never counted or removed: the folder may be one that a user keeps
// videos in.
inline constexpr std::string_view kFramesSuffix = ".frames", kNoteSuffix = ".note";
bool is_entry(const std::filesystem::path& path);

class CacheFolder {
 public:
  // A file that is being written. Both throw core::Error{kDisk}.
  class Output {
   public:
    explicit Output(int fd) : fd_(fd) {}
    void append(std::string_view bytes);
    void overwrite(std::string_view bytes);  // the first bytes
   private:
    void write(std::string_view bytes, int64_t offset);
    int fd_;
    int64_t end_ = 0;
  };
  using Fill = std::function<void(Output&)>;

  // Makes the folder. Throws core::Error{kDisk} when that cannot be done; one that is there and may
  // not be written is only read, with a warning. `max_bytes` 0: no bound but the disk's.
  CacheFolder(std::filesystem::path folder, int64_t max_bytes);

  // The file of that name (32 hex digits and a suffix), marked as used now; none if there is none.
  FileDescriptor open(const std::string& name) const;

  // Publishes what `fill` writes; replaces a file of that name. False when it was not written: the
  // first failure, or the first file there is no room for, is logged, and nothing is written from
  // then on. `about_bytes`: an upper bound of the size.
  bool publish(const std::string& name, int64_t about_bytes, const Fill& fill);

  // Why nothing is written; empty when files are.
  std::string why_not_writing() const;

 private:
  std::filesystem::path entry_path(const std::string& name) const;
  int64_t filesystem_clock();
  bool write(const std::string& name, const Fill& fill);
  void stop_writing(const std::string& reason);
  std::filesystem::path temporary_path(const std::filesystem::path& path);

  const std::filesystem::path folder_;
  const std::string writer_;  // tells this process' temporary files from all others'
  std::atomic<int64_t> next_temporary_{0};
  std::atomic<bool> writing_{true};
  mutable std::mutex reason_mutex_;
  std::string reason_;
  int64_t started_ns_;
  double started_seconds_;  // the same moment, on this process' clock
  CacheSpace space_;
};

}  // namespace streamo::video
