// The frames of `streamo watch`, at speed or in real time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
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
  bool live = false;               // nobody knows how long the source lets one wait
};

class WatchFeed {
 public:
  using Result = core::Result<std::optional<video::Frame>>;
  using Source = std::function<Result()>;  // the next frame; nullopt after the last

  WatchFeed(Source source, FeedOptions options);
  ~WatchFeed();  // leaves a source behind that does not come back
  WatchFeed(const WatchFeed&) = delete;
  WatchFeed& operator=(const WatchFeed&) = delete;

  // The frame to look at now: the next, or with kDrop the newest. nullopt after the last, or when
  // `asked_to_stop`.
  Result next(const std::function<bool()>& asked_to_stop);

  int64_t dropped() const;
  // Seconds since the frame just returned was due; 0 when not in real time.
  double lag() const { return lag_; }

 private:
  struct Queue;  // shared with the thread that reads

  Source source_;
  FeedOptions options_;
  std::shared_ptr<Queue> queue_;  // null: frames are read when they are asked for
  std::thread reader_;
  double lag_ = 0;
};

}  // namespace streamo::app
