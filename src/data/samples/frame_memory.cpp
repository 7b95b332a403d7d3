// An LRU cache bounded by bytes. A second request for a video that is being decoded waits for the
// first instead of decoding it again.
#include "data/samples/frame_memory.h"

namespace streamo::data {

core::Result<FrameMemory::Frames> FrameMemory::get(const std::string& key, const Load& load) {
  std::unique_lock lock(mutex_);
  loaded_.wait(lock, [&] { return !loading_.contains(key); });
  if (const auto found = entries_.find(key); found != entries_.end()) {
    by_age_.splice(by_age_.begin(), by_age_, found->second.age);
    return found->second.frames;
  }
  loading_.insert(key);
  lock.unlock();
  core::Result<std::vector<video::Frame>> frames = core::Fault{};
  std::exception_ptr failure;
  try {
    frames = load();
  } catch (...) {
    failure = std::current_exception();
  }
  lock.lock();
  loading_.erase(key);
  loaded_.notify_all();
  if (failure) std::rethrow_exception(failure);
  if (!frames) return frames.fault();
  auto shared = std::make_shared<const std::vector<video::Frame>>(*std::move(frames));
  remember(key, shared);
  return Frames(shared);
}

void FrameMemory::remember(const std::string& key, const Frames& frames) {
  int64_t bytes = 0;
  for (const video::Frame& frame : *frames)
    bytes += static_cast<int64_t>(frame.rgb.size() + sizeof(video::Frame));
  if (bytes > max_bytes_) return;
  by_age_.push_front(key);
  entries_[key] = {frames, bytes, by_age_.begin()};
  bytes_ += bytes;
  while (bytes_ > max_bytes_) {
    const auto oldest = entries_.find(by_age_.back());
    bytes_ -= oldest->second.bytes;
    entries_.erase(oldest);
    by_age_.pop_back();
  }
}

int64_t FrameMemory::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace streamo::data
