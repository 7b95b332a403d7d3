// A bounded queue between the thread that decodes and the loop that runs the model. Frames are
// released by the wall clock, and a model that falls behind either delays the source or drops
// frames.
#include "app/watch/watch_feed.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include "core/log.h"

namespace streamo::app {
namespace {

// So many frames wait at most; then the source waits. Ten minutes at one a second, 0.2 GB at the
// largest size of the recipe.
constexpr size_t kMostWaiting = 600;
constexpr auto kLook = std::chrono::milliseconds(50);  // how often a wait asks whether to stop
constexpr auto kPatience = std::chrono::seconds(1);    // with a source at the end

}  // namespace

struct WatchFeed::Queue {
  explicit Queue(FeedOptions the_options) : options(the_options) {}

  void fill(const Source& source);
  double due(const video::Frame& frame) const {
    return started + static_cast<double>(frame.index - first_index) / options.fps;
  }

  FeedOptions options;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<video::Frame> waiting;
  std::optional<core::Fault> fault;
  bool ended = false, stopping = false;
  double started = -1;  // when the first frame came
  int64_t first_index = 0, dropped = 0;
};

void WatchFeed::Queue::fill(const Source& source) {
  for (;;) {
    Result frame = source();
    std::unique_lock lock(mutex);
    if (!frame || !*frame) {
      if (!frame) fault = frame.fault();
      break;
    }
    if (started < 0) {
      started = core::monotonic_seconds();
      first_index = (*frame)->index;
    }
    if (options.realtime) {
      const double wait = due(**frame) - core::monotonic_seconds();
      changed.wait_for(lock, std::chrono::duration<double>(wait), [this] { return stopping; });
      if (options.behind == Behind::kDrop) {
        dropped += static_cast<int64_t>(waiting.size());
        waiting.clear();
      }
    }
    changed.wait(lock, [this] { return stopping || waiting.size() < kMostWaiting; });
    if (stopping) break;
    waiting.push_back(std::move(**frame));
    changed.notify_all();
  }
  const std::lock_guard lock(mutex);
  ended = true;
  changed.notify_all();
}

WatchFeed::WatchFeed(Source source, FeedOptions options)
    : source_(std::move(source)), options_(options) {
  if (!options_.realtime && !options_.live) return;
  queue_ = std::make_shared<Queue>(options_);
  reader_ = std::thread([queue = queue_, from = source_] { queue->fill(from); });
}

WatchFeed::~WatchFeed() {
  if (!queue_) return;
  std::unique_lock lock(queue_->mutex);
  queue_->stopping = true;
  queue_->changed.notify_all();
  const bool ended = queue_->changed.wait_for(lock, kPatience, [this] { return queue_->ended; });
  lock.unlock();
  ended ? reader_.join() : reader_.detach();
}

int64_t WatchFeed::dropped() const {
  if (!queue_) return 0;
  const std::lock_guard lock(queue_->mutex);
  return queue_->dropped;
}

WatchFeed::Result WatchFeed::next(const std::function<bool()>& asked_to_stop) {
  if (asked_to_stop()) return std::optional<video::Frame>();
  if (!queue_) return source_();
  std::unique_lock lock(queue_->mutex);
  while (queue_->waiting.empty() && !queue_->ended) {
    queue_->changed.wait_for(lock, kLook);
    if (asked_to_stop()) return std::optional<video::Frame>();
  }
  if (queue_->waiting.empty()) {
    if (queue_->fault) return *queue_->fault;
    return std::optional<video::Frame>();
  }
  video::Frame frame = std::move(queue_->waiting.front());
  queue_->waiting.pop_front();
  if (options_.realtime) {
    lag_ = std::max(0.0, core::monotonic_seconds() - queue_->due(frame));
  }
  queue_->changed.notify_all();
  return std::optional<video::Frame>(std::move(frame));
}

}  // namespace streamo::app
