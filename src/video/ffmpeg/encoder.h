// Writes H.264 mp4 files: for the example data and for tests.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "streamo/video/resize.h"

namespace streamo::video {

struct EncoderOptions {
  FrameSize size;                   // even sides
  int rate_num = 25, rate_den = 1;  // frames a second
  int gop_size = 50;
  int b_frames = 2;
  int crf = 23;
};

class Encoder {
 public:
  // Throws core::Error{kDisk} when the file cannot be made; finish() publishes it under `path`.
  Encoder(const std::filesystem::path& path, const EncoderOptions& options);
  ~Encoder();
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  void write(std::span<const uint8_t> rgb);  // [height, width, 3]
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace streamo::video
