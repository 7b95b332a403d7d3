// Opens files for decoding, without blocking on pipes.
#include "video/ffmpeg/open_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "core/io/system_error.h"

namespace streamo::video {
namespace {

struct Given {
  std::filesystem::path path;
  FileDescriptor file;
};

std::optional<Given>& given() {
  static std::optional<Given> file;
  return file;
}

FileDescriptor opened(const std::filesystem::path& path) {
  if (!given()) {
    return FileDescriptor(core::system_call(
        "video.open", [&] { return ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC); }));
  }
  if (given()->path == path) return FileDescriptor(::dup(given()->file.get()));
  errno = EACCES;
  return FileDescriptor();
}

}  // namespace

FileDescriptor open_file(const std::filesystem::path& path) {
  FileDescriptor file = opened(path);
  struct stat status {};
  if (!file || (::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode))) return file;
  errno = EINVAL;
  return FileDescriptor();
}

void open_only(std::filesystem::path path, FileDescriptor file) {
  given() = Given{std::move(path), std::move(file)};
}

}  // namespace streamo::video
