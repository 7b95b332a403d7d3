// Resized pictures of the videos used last: a video carries several samples, and epochs come again.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "streamo/core/error.h"
#include "streamo/video/sampler.h"

namespace streamo::data {

// Thread-safe; forgets the least recently used beyond its size. Pixels are the same with and
// without it.
class FrameMemory {
 public:
  using Frames = std::shared_ptr<const std::vector<video::Frame>>;
  using Load = std::function<core::Result<std::vector<video::Frame>>()>;

  explicit FrameMemory(int64_t max_bytes) : max_bytes_(max_bytes) {}  // 0: remembers nothing

  // What is remembered under `key`, else what `load` returns. Two threads that ask for one key at
  // one time load it once. A Fault is not remembered.
  core::Result<Frames> get(const std::string& key, const Load& load);

  int64_t bytes() const;

 private:
  struct Entry {
    Frames frames;
    int64_t bytes;
    std::list<std::string>::iterator age;
  };
  void remember(const std::string& key, const Frames& frames);

  const int64_t max_bytes_;
  mutable std::mutex mutex_;
  std::condition_variable loaded_;
  std::set<std::string> loading_;
  std::list<std::string> by_age_;  // newest first
  std::unordered_map<std::string, Entry> entries_;
  int64_t bytes_ = 0;
};

}  // namespace streamo::data
