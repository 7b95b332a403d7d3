// Sampled pictures of videos in a folder that ranks, runs and machines share: each video is decoded
// once. Pixels are the same with and without it (docs/data.md, Frame cache).
//
// An entry is found by the hash of the video's whole content and of everything that decides its
// pixels: rate, phase, size limits, way of resizing, quality, FFmpeg's version. So that a video
// need not be read to be found, a second small file remembers, by the video's path, size, inode and
// times, the hash of its content and what probing it said.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "streamo/core/error.h"
#include "streamo/video/sampler.h"

namespace streamo::video {

struct FrameCacheOptions {
  std::filesystem::path folder;
  int64_t max_bytes = 0;  // 0: as much as the disk has
  int jpeg_quality = 0;   // 0: without loss; 1 to 100: pictures are those of such JPEGs
  // Takes what is there, adds nothing, and hashes no video that is not there.
  bool is_read_only = false;
};

struct FrameCacheCounts {
  int64_t found = 0;    // videos whose pictures came from the cache
  int64_t decoded = 0;  // videos that were decoded
  int64_t written = 0;  // entries
  int64_t written_bytes = 0;
  int64_t damaged = 0;  // entries or notes that failed their checksums; they are made anew
  int64_t probed = 0;   // videos that were read as a whole, to hash and to probe them
};

// Thread-safe. What is not a regular file is passed on to the sampler.
class FrameCache {
 public:
  // Throws core::Error{kDisk} when the folder cannot be made. One that may not be written is only
  // read, with a warning; so it is after a failed write.
  explicit FrameCache(FrameCacheOptions options);
  ~FrameCache();
  FrameCache(const FrameCache&) = delete;
  FrameCache& operator=(const FrameCache&) = delete;

  // As video::probe; `options.pixel_limits` are ignored.
  core::Result<VideoInfo> probe(const std::filesystem::path& path, const SampleOptions& options);
  // As video::sample_video. Of either a Fault, too, when reading the video to hash it stands still.
  core::Result<std::vector<Frame>> sample_video(const std::filesystem::path& path,
                                                const SampleOptions& options);
  // Whether there is an entry that looks sound; its pictures are not read. Marks it as used.
  bool contains(const std::filesystem::path& path, const SampleOptions& options);

  FrameCacheCounts counts() const;
  std::string why_not_writing() const;  // empty: it writes

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace streamo::video
