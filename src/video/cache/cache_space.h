// How much a cache folder holds, and making room in it: the files used longest ago go first.
//
// A file's modification time says when it was used last. Files used since this object was made
// never go: where a run needs more than there is room for, the oldest file is the one that the run
// needs next, and a cache that evicts it never hits. So the rest is then not kept at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <vector>

namespace streamo::video {

class CacheSpace {
 public:
  // `max_bytes` 0: no bound but the disk's. `started_ns`: now, on the clock of the file system.
  CacheSpace(std::filesystem::path folder, int64_t max_bytes, int64_t started_ns);

  // Makes room for a new file of `bytes`, and counts it as there; false when there is none. Other
  // processes' files are counted anew after every half percent of the bound, so that each writing
  // process can overrun it by that much.
  bool take(int64_t bytes);

  // Frees at least `bytes` if it can, whatever the bound; returns what was freed.
  int64_t evict(int64_t bytes);

  // Free bytes of the disk that files of the cache may still fill; the last twentieth of a disk, at
  // most 20 GB, is for others (a checkpoint, say).
  int64_t free_bytes() const;

 private:
  struct File {
    std::filesystem::path path;
    int64_t bytes = 0, used_ns = 0;
  };
  void count();
  int64_t evict_oldest(int64_t bytes);

  const std::filesystem::path folder_;
  const int64_t max_bytes_, started_ns_;
  std::mutex mutex_;
  std::vector<File> evictable_;  // newest first
  int64_t held_ = 0;             // by the folder when it was counted, and what was taken since
  int64_t taken_ = 0;            // since it was counted
  bool counted_ = false;
};

}  // namespace streamo::video
