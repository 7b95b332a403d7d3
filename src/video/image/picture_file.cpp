// Bounded reads of parts of an image file.
#include "video/image/picture_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "video/cache/file_watch.h"
#include "video/ffmpeg/open_file.h"

namespace streamo::video {
namespace {

constexpr size_t kPiece = 4096;

}  // namespace

core::Result<PictureFile> PictureFile::open(const std::filesystem::path& path) {
  FileDescriptor file = open_file(path);
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0) {
    return file_fault(path, std::generic_category().message(errno));
  }
  return PictureFile(std::move(file), static_cast<uint64_t>(status.st_size));
}

std::string PictureFile::read(uint64_t offset, size_t size) const {
  std::string bytes(size, '\0');
  size_t got = 0;
  while (got < size) {
    const ssize_t n =
        ::pread(file_.get(), bytes.data() + got, size - got, static_cast<off_t>(offset + got));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    got += static_cast<size_t>(n);
  }
  bytes.resize(got);
  return bytes;
}

std::string PictureFile::part(uint64_t offset, size_t size) const {
  if (offset >= size_) return {};
  size = static_cast<size_t>(std::min<uint64_t>(size, size_ - offset));
  if (!file_) return std::string(bytes_.substr(offset, size));
  if (size > kPiece) return read(offset, size);
  if (offset < piece_begin_ || offset + size > piece_begin_ + piece_.size()) {
    piece_ = read(offset, kPiece);
    piece_begin_ = offset;
  }
  return piece_.substr(offset - piece_begin_, size);
}

}  // namespace streamo::video
