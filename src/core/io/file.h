// Files that are complete or absent: everything is written beside its final place and renamed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "core/io/temporary.h"

namespace streamo::core {

// Whole file as bytes. Throws Error{kind} naming the path when it cannot be read.
std::string read_file(const std::filesystem::path& path);

// Writes, fsyncs, renames. A reader sees the old content or the new one, never a part.
// Throws Error{kDisk} with the system's reason; the old content is then untouched.
void write_file_atomic(const std::filesystem::path& path, std::string_view content);

// The same for content that is produced piece by piece (too large to hold).
class AtomicWriter {
 public:
  explicit AtomicWriter(std::filesystem::path path);
  ~AtomicWriter();  // without commit(): nothing is left
  AtomicWriter(const AtomicWriter&) = delete;
  AtomicWriter& operator=(const AtomicWriter&) = delete;

  void write(std::string_view bytes);  // throws Error{kDisk}
  void commit();                       // flush, fsync, rename, fsync the folder

 private:
  std::filesystem::path path_;
  Temporary temporary_;
  int fd_ = -1;
  size_t unsynced_ = 0;
  std::string buffer_;
  void flush();
};

// Does what writes something that a run can do without. Trouble with the disk is a warning then;
// true when it was done.
bool unless_the_disk_fails(const std::function<void()>& write);

// Flushes a file or folder to disk. Throws Error{kDisk}.
void sync_path(const std::filesystem::path& path);

// Makes a folder and those above it that are missing, and flushes that they are there. Throws
// Error{kDisk}.
void create_folders(const std::filesystem::path& path);

// A folder that appears under its final name only when everything in it is on disk.
// `fill` gets the temporary folder to write into. An existing folder of that name is replaced: at
// any moment the old one or the new one is there (where the file system can exchange two names).
void write_directory_atomic(const std::filesystem::path& path,
                            const std::function<void(const std::filesystem::path&)>& fill);

// Takes a folder away at once, by renaming it, and then deletes it: what carries the name is never
// a part. Throws Error{kDisk}.
void remove_directory_atomic(const std::filesystem::path& path);

// XXH3-64 of a file, as 16 hex digits. Throws Error{kDisk} when it cannot be read.
std::string hash_file(const std::filesystem::path& path);
std::string hash_bytes(std::string_view bytes);

}  // namespace streamo::core
