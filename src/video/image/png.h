// A picture as a PNG file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "core/io/output.h"
#include "streamo/video/resize.h"

namespace streamo::video {

// `rgb` is [height, width, 3]. The file is complete or absent. Throws core::Error naming the path:
// kDisk when it cannot be written, kUsage when something is there that is not ours.
void write_png(const std::filesystem::path& path, FrameSize size, std::span<const uint8_t> rgb);

// Tells a file that write_png() wrote.
core::IsOurs is_our_png();

}  // namespace streamo::video
