// The frames of `streamo watch`, at speed or in real time.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "streamo/core/error.h"
#include "streamo/video/sampler.h"

namespace streamo::app {

enum class Behind { kDrop, kQueue };

struct FeedOptions {
  double fps = 1;
  // Frame k comes k/fps seconds after the first; else as soon as it is asked for.
  bool realtime = false;
  Behind behind = Behind::kQueue;  // in real time: when the model is not ready for the next frame
};

class WatchFeed {
 public:
  using Result = core::Result<std::optional<video::Frame>>;
  using Source = std::function<Result()>;  // the next frame; nullopt after the last

  WatchFeed(Source source, FeedOptions options);
  ~WatchFeed();  // waits for the frame that is being read
  WatchFeed(const WatchFeed&) = delete;
  WatchFeed& operator=(const WatchFeed&) = delete;

  // The frame to look at now: the next, or with kDrop the newest. nullopt after the last, or when
  // `asked_to_stop`.
  Result next(const std::function<bool()>& asked_to_stop);

  int64_t dropped() const { return dropped_; }
  // Seconds since the frame just returned was due; 0 when not in real time.
  double lag() const { return lag_; }

 private:
  void read_in_time();
  double due(const video::Frame& frame) const;

  Source source_;
  FeedOptions options_;
  double started_ = 0;  // when the first frame came
  int64_t first_index_ = 0;
  int64_t dropped_ = 0;
  double lag_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<video::Frame> waiting_;
  std::optional<core::Fault> fault_;
  bool ended_ = false, stopping_ = false;
  std::thread reader_;
};

}  // namespace streamo::app
