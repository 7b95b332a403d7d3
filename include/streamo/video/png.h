// A picture as a PNG file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "streamo/video/resize.h"

namespace streamo::video {

// `rgb` is [height, width, 3]. The file is complete or absent.
// Throws core::Error{kDisk} naming the path when it cannot be written.
void write_png(const std::filesystem::path& path, FrameSize size, std::span<const uint8_t> rgb);

}  // namespace streamo::video
