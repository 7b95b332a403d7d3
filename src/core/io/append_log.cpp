// Appends whole records or nothing, and keeps records in memory while the disk is full.
#include "core/io/append_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/io/system_error.h"
#include "core/log.h"

namespace streamo::core {
namespace {

// Opened anew for each: a folder that was away for a while, as network disks are, is found again.
int append_whole(const std::filesystem::path& path, std::string_view bytes) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0) return errno;
  struct stat before = {};
  int error = ::fstat(fd, &before) == 0 ? write_all(fd, bytes) : errno;
  if (error != 0 && ::ftruncate(fd, before.st_size) != 0) error = errno;  // no part of a record
  ::close(fd);
  return error;
}

}  // namespace

AppendLog::~AppendLog() {
  if (waiting_.empty()) return;
  if (append_whole(path_, waiting_) == 0) return;
  log_warning("{}: its last {} bytes could not be written and are lost", path_.string(),
              waiting_.size());
}

void AppendLog::append(std::string_view record) {
  if (waiting_.size() + record.size() > kMostWaiting) waiting_.clear();
  waiting_ += record;
  const int error = append_whole(path_, waiting_);
  if (error != 0) {
    if (!std::exchange(told_, true)) {
      log_warning("{}: cannot be written ({}); the run goes on and adds what is missing later",
                  path_.string(), std::strerror(error));
    }
    return;
  }
  waiting_.clear();
  if (std::exchange(told_, false)) log_info("{}: written again", path_.string());
}

}  // namespace streamo::core
