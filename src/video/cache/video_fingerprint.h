// What the frame cache remembers about a video file, so as not to read it again to know it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "streamo/video/sampler.h"

namespace streamo::video {

struct VideoFingerprint {
  std::string content;  // hash of the file's bytes, 32 hex digits
  VideoInfo info;
};

// The bytes of a small file, with a checksum over `key` and all else.
std::string write_fingerprint(const VideoFingerprint& note, std::string_view key);
// nullopt when it is damaged or of another key.
std::optional<VideoFingerprint> read_fingerprint(int fd, std::string_view key);

}  // namespace streamo::video
