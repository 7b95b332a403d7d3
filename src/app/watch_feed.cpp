#include "app/watch_feed.h"

#include <chrono>
#include <utility>

#include "streamo/core/log.h"

namespace streamo::app {
namespace {

// So many frames wait at most; then the source waits. Ten minutes at one a second, 0.2 GB at the
// largest size of the recipe.
constexpr size_t kMostWaiting = 600;
constexpr auto kLook = std::chrono::milliseconds(50);  // how often a wait asks whether to stop

}  // namespace

WatchFeed::WatchFeed(Source source, FeedOptions options)
    : source_(std::move(source)), options_(options) {
  if (options_.realtime) reader_ = std::thread([this] { read_in_time(); });
}

WatchFeed::~WatchFeed() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (reader_.joinable()) reader_.join();
}

double WatchFeed::due(const video::Frame& frame) const {
  return started_ + static_cast<double>(frame.index - first_index_) / options_.fps;
}

void WatchFeed::read_in_time() {
  for (bool first = true;; first = false) {
    Result frame = source_();
    std::unique_lock lock(mutex_);
    if (!frame || !*frame) {
      if (!frame) fault_ = frame.fault();
      ended_ = true;
      changed_.notify_all();
      return;
    }
    if (first) {
      started_ = core::monotonic_seconds();
      first_index_ = (*frame)->index;
    }
    const double wait = due(**frame) - core::monotonic_seconds();
    changed_.wait_for(lock, std::chrono::duration<double>(wait), [this] { return stopping_; });
    if (options_.behind == Behind::kDrop) {
      dropped_ += static_cast<int64_t>(waiting_.size());
      waiting_.clear();
    }
    changed_.wait(lock, [this] { return stopping_ || waiting_.size() < kMostWaiting; });
    if (stopping_) return;
    waiting_.push_back(std::move(**frame));
    changed_.notify_all();
  }
}

WatchFeed::Result WatchFeed::next(const std::function<bool()>& asked_to_stop) {
  if (asked_to_stop()) return std::optional<video::Frame>();
  if (!options_.realtime) return source_();
  std::unique_lock lock(mutex_);
  while (waiting_.empty() && !ended_) {
    changed_.wait_for(lock, kLook);
    if (asked_to_stop()) return std::optional<video::Frame>();
  }
  if (waiting_.empty()) {
    if (fault_) return *fault_;
    return std::optional<video::Frame>();
  }
  video::Frame frame = std::move(waiting_.front());
  waiting_.pop_front();
  lag_ = std::max(0.0, core::monotonic_seconds() - due(frame));
  changed_.notify_all();
  return std::optional<video::Frame>(std::move(frame));
}

}  // namespace streamo::app
