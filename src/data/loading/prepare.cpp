// Lists the distinct videos that the cache lacks and decodes them in random order, so that several
// machines on one list rarely meet.
#include "data/loading/prepare.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>

#include "core/process/parallel.h"
#include "core/rng.h"
#include "streamo/core/error.h"

namespace streamo::data {
namespace {

struct Video {
  std::string path;
  const SampleSource* source;  // says how it is sampled
};

// Records that cannot be read are the training's to report.
std::vector<Video> list_videos(const SampleSource& source, int num_workers) {
  std::vector<std::string> paths(source.size());
  core::parallel_for(source.size(), num_workers, [&](size_t i) {
    if (const auto path = source.video_path(i)) paths[i] = *path;
  });
  std::vector<Video> videos;
  for (const std::string& path : std::set<std::string>(paths.begin(), paths.end())) {
    if (!path.empty()) videos.push_back({path, &source});
  }
  return videos;
}

std::vector<Video> distinct_videos(const std::vector<const SampleSource*>& sources,
                                   int num_workers) {
  std::vector<Video> videos;
  std::set<std::string> seen;
  for (const SampleSource* source : sources) {
    for (Video& video : list_videos(*source, num_workers)) {
      if (seen.insert(video.path).second) videos.push_back(std::move(video));
    }
  }
  return videos;
}

bool is_present(const Video& video) {
  return video.source->options().frame_cache->contains(video.path, video.source->sample_options());
}

// Looking at all first also marks what is there as used: making the rest will not evict it.
std::vector<Video> absent_ones(const std::vector<Video>& videos, int num_workers) {
  std::vector<char> present(videos.size());
  core::parallel_for(videos.size(), num_workers,
                     [&](size_t i) { present[i] = is_present(videos[i]) ? 1 : 0; });
  std::vector<Video> absent;
  for (size_t i = 0; i < videos.size(); ++i) {
    if (present[i] == 0) absent.push_back(videos[i]);
  }
  return absent;
}

// Seconds of video that were decoded; none where another machine, which works on the same list, was
// faster. A video that was written just now is not kept yet (FrameCache), so there is a second
// attempt.
core::Result<double> make(const Video& video, video::FrameCache& cache) {
  if (is_present(video)) return 0.0;
  const video::SampleOptions options = video.source->sample_options();
  for (bool again = true;; again = false) {
    const auto frames = cache.sample_video(video.path, options);
    if (!frames) return frames.fault();
    if (is_present(video) || !cache.why_not_writing().empty()) {
      return static_cast<double>(frames->size()) / options.fps;
    }
    if (!again) return core::Fault{video.path + ": it changes while it is read"};
    std::this_thread::sleep_for(std::chrono::seconds(4));
  }
}

}  // namespace

PrepareResult fill_frame_cache(const std::vector<const SampleSource*>& sources,
                               const PrepareOptions& options) {
  video::FrameCache& cache = *sources.at(0)->options().frame_cache;
  const std::vector<Video> videos = distinct_videos(sources, options.num_workers);
  std::vector<Video> absent = absent_ones(videos, options.num_workers);
  core::Rng({options.seed}).shuffle(absent);
  PrepareResult result;
  result.progress.videos = static_cast<int64_t>(videos.size());
  result.progress.present = static_cast<int64_t>(videos.size() - absent.size());
  std::atomic<bool> stopped{false};
  std::mutex mutex;
  core::parallel_for(absent.size(), options.num_workers, [&](size_t i) {
    if (stopped || (options.stopped && options.stopped()) || !cache.why_not_writing().empty()) {
      stopped = true;
      return;
    }
    const Video& video = absent[i];
    const core::Result<double> seconds = make(video, cache);
    const std::lock_guard lock(mutex);
    ++result.progress.done;
    if (seconds) {
      result.progress.seconds += *seconds;
    } else {
      result.bad[video.path] = seconds.reason();
    }
    result.progress.bytes = cache.counts().written_bytes;
    if (options.progress) options.progress(result.progress);
  });
  result.complete = !stopped && cache.why_not_writing().empty();
  return result;
}

}  // namespace streamo::data
