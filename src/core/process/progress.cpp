// Progress counters, and the list of files being decoded.
#include "core/process/progress.h"

#include <map>
#include <mutex>
#include <utility>

#include "core/log.h"

namespace streamo::core {
namespace {

struct Begun {
  std::string name;
  double at;
};

// Never destroyed: threads that were left behind may come back while the process ends.
struct FilesInWork {
  std::mutex mutex;
  std::map<int64_t, Begun> begun;
  int64_t next = 0;
};

FilesInWork& files() {
  static auto& all = *new FilesInWork;  // NOLINT: must outlive those threads
  return all;
}

}  // namespace

Progress& reading() {
  static Progress progress;
  return progress;
}

Progress& writing() {
  static Progress progress;
  return progress;
}

FileInWork::FileInWork(std::string name) {
  const std::lock_guard lock(files().mutex);
  number_ = files().next++;
  files().begun.emplace(number_, Begun{std::move(name), monotonic_seconds()});
}

void FileInWork::end() {
  const std::lock_guard lock(files().mutex);
  if (files().begun.erase(number_) > 0) reading().note();
}

std::optional<FileInWork::Seen> FileInWork::oldest() {
  const std::lock_guard lock(files().mutex);
  if (files().begun.empty()) return std::nullopt;
  const Begun& first = files().begun.begin()->second;
  return Seen{first.name, monotonic_seconds() - first.at};
}

}  // namespace streamo::core
