// Parts of a picture file, read when asked for: of a large one only what tells its size.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "streamo/core/error.h"
#include "video/ffmpeg/file_descriptor.h"

namespace streamo::video {

class PictureFile {
 public:
  // `path` is that of a regular file. The Fault names it.
  static core::Result<PictureFile> open(const std::filesystem::path& path);
  // Of bytes in memory, which must outlive it.
  explicit PictureFile(std::string_view bytes) : size_(bytes.size()), bytes_(bytes) {}

  uint64_t size() const { return size_; }
  // Fewer bytes at the end of the file, or where it cannot be read.
  std::string part(uint64_t offset, size_t size) const;

 private:
  PictureFile(FileDescriptor file, uint64_t size) : file_(std::move(file)), size_(size) {}
  std::string read(uint64_t offset, size_t size) const;

  FileDescriptor file_;
  uint64_t size_;
  std::string_view bytes_;
  // Headers are a few bytes each, side by side or far apart: the last piece read is kept.
  mutable std::string piece_;
  mutable uint64_t piece_begin_ = 0;
};

}  // namespace streamo::video
