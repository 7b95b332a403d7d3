// Identifies a file by its size and its first and last bytes.
#include "data/samples/content_id.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "core/io/file.h"
#include "core/io/system_error.h"
#include "video/ffmpeg/open_file.h"

namespace streamo::data {
namespace {

constexpr int64_t kBytesOfAnEnd = 32 << 10;

// What of the file there is in [from, from + length); false with errno.
bool append(const video::FileDescriptor& file, int64_t from, int64_t length, std::string& to) {
  std::string part(static_cast<size_t>(length), '\0');
  for (size_t got = 0; got < part.size();) {
    const ssize_t n = core::system_call("video.read", [&] {
      return ::pread(file.get(), part.data() + got, part.size() - got,
                     from + static_cast<int64_t>(got));
    });
    if (n < 0) return false;
    if (n == 0) break;
    got += static_cast<size_t>(n);
  }
  to += part;
  return true;
}

}  // namespace

core::Result<std::string> content_id(const std::string& path) {
  const auto unreadable = [&] {
    core::throw_if_of_the_machine(errno, "cannot be read", path);
    return core::Fault{path + ": " + std::strerror(errno)};
  };
  const video::FileDescriptor file = video::open_file(path);
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0) return unreadable();
  const auto size = static_cast<int64_t>(status.st_size);
  const int64_t length = std::min(size, kBytesOfAnEnd);
  std::string ends = fmt::format("{} ", size);
  if (!append(file, 0, length, ends) || !append(file, size - length, length, ends))
    return unreadable();
  return core::hash_bytes(ends);
}

}  // namespace streamo::data
