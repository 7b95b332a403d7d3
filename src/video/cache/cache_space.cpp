// Counts the folder once and then only what it adds; before evicting it counts again, since other
// processes write too.
#include "video/cache/cache_space.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "video/cache/cache_folder.h"

namespace streamo::video {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kLeftoverAfterNs = int64_t{24} * 3600 * 1'000'000'000;
constexpr int64_t kDiskShareForOthers = 20;  // one part in so many
constexpr int64_t kMostForOthers = int64_t{20} << 30;
constexpr int64_t kSlack = 50;     // an eviction frees one part in so many more than is needed
constexpr int64_t kRecount = 200;  // after writing one part in so many of the bound

int64_t used_ns(const struct stat& status) {
  return int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

}  // namespace

CacheSpace::CacheSpace(fs::path folder, int64_t max_bytes, int64_t started_ns)
    : folder_(std::move(folder)), max_bytes_(max_bytes), started_ns_(started_ns) {}

// Files that vanish meanwhile are others' evictions.
void CacheSpace::count() {
  held_ = taken_ = 0;
  evictable_.clear();
  std::error_code gone;
  for (const auto& shelf : fs::directory_iterator(folder_, gone)) {
    for (const auto& entry : fs::directory_iterator(shelf.path(), gone)) {
      struct stat status = {};
      if (::lstat(entry.path().c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
      // What it occupies on disk, which is what the bound is about, not its length.
      File file{entry.path(), int64_t{status.st_blocks} * 512, used_ns(status)};
      if (is_temporary(file.path)) {
        if (file.used_ns < started_ns_ - kLeftoverAfterNs) ::unlink(file.path.c_str());
        continue;  // a killed writer's goes after a day, a living one's is counted when it is whole
      }
      if (!is_entry(file.path)) continue;
      held_ += file.bytes;
      if (file.used_ns < started_ns_) evictable_.push_back(std::move(file));
    }
  }
  std::sort(evictable_.begin(), evictable_.end(),
            [](const File& a, const File& b) { return a.used_ns > b.used_ns; });
  counted_ = true;
}

int64_t CacheSpace::evict_oldest(int64_t bytes) {
  int64_t freed = 0;
  while (freed < bytes && !evictable_.empty()) {
    const File file = std::move(evictable_.back());
    evictable_.pop_back();
    struct stat status = {};
    if (::lstat(file.path.c_str(), &status) != 0) {
      held_ -= file.bytes;  // another process was faster
      freed += file.bytes;
      continue;
    }
    if (used_ns(status) != file.used_ns) continue;  // used since it was counted
    if (::unlink(file.path.c_str()) != 0) continue;
    held_ -= file.bytes;
    freed += file.bytes;
  }
  return freed;
}

bool CacheSpace::take(int64_t bytes) {
  if (max_bytes_ == 0) return true;
  const std::lock_guard lock(mutex_);
  if (!counted_ || taken_ > max_bytes_ / kRecount) count();
  if (held_ + bytes > max_bytes_) {
    // Other processes write and evict, too: before files are deleted, the folder is counted again.
    // More is freed than needed, or each of the next writes would scan the folder.
    if (taken_ > 0) count();
    evict_oldest(held_ + bytes - max_bytes_ + max_bytes_ / kSlack);
  }
  if (held_ + bytes > max_bytes_) return false;
  held_ += bytes;
  taken_ += bytes;
  return true;
}

int64_t CacheSpace::evict(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  count();
  return evict_oldest(bytes);
}

int64_t CacheSpace::free_bytes() const {
  struct statvfs disk = {};
  if (::statvfs(folder_.c_str(), &disk) != 0 || disk.f_blocks == 0) {
    return std::numeric_limits<int64_t>::max();  // it does not say: writing will tell
  }
  const auto block = static_cast<int64_t>(disk.f_frsize);
  const int64_t others =
      std::min(static_cast<int64_t>(disk.f_blocks) * block / kDiskShareForOthers, kMostForOthers);
  return static_cast<int64_t>(disk.f_bavail) * block - others;
}

}  // namespace streamo::video
