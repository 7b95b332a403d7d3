// The samples of a video on one page: small pictures in rows, with their times.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "streamo/video/sampler.h"

namespace streamo::video {

class ContactSheet {
 public:
  static constexpr int kMaxColumns = 12, kMaxRows = 20;
  static constexpr int kThumbnailSide = 160;  // of the longer side, pixels

  // For a video of so many samples (at least one). A sheet has room for 240; of more it shows 240
  // that are evenly spread.
  explicit ContactSheet(int64_t num_samples);

  int64_t num_shown() const { return num_shown_; }
  // Adds the sample if the sheet shows it. Call for each one in order; all are of one size.
  void add(const Frame& sample);

  // Under each picture stand the time of the sample and that of the picture taken, in seconds.
  // Throws core::Error{kDisk} when the file cannot be written.
  void write_png(const std::filesystem::path& path) const;

 private:
  struct Thumbnail {
    std::string time, pts_time;
    std::vector<uint8_t> rgb;  // [size_.height, size_.width, 3]
  };
  int64_t num_samples_, num_shown_;
  FrameSize size_;  // of a thumbnail
  std::vector<Thumbnail> thumbnails_;
};

}  // namespace streamo::video
