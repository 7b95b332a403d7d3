// Pictures given as files, as the image processor of transformers 5 sees them.
//
// JPEG, and formats without loss (PNG, BMP, TIFF, GIF, lossless WebP), give the pixels that Pillow
// reads; whatever else FFmpeg opens, converted to RGB with care. Turned as their Exif data ask, as
// by its load_image; what is transparent is laid on white, as by its convert_to_rgb.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "streamo/core/error.h"
#include "streamo/video/resize.h"

namespace streamo::video {

// More is a bomb. Pillow's limit (twice its MAX_IMAGE_PIXELS).
inline constexpr int64_t kMaxPicturePixels = 178'956'970;

struct Picture {
  FrameSize size;
  std::vector<uint8_t> rgb;  // [height, width, 3]
};

// Whether the file begins like a JPEG, PNG, WebP, BMP or TIFF file. False for what cannot be read.
bool is_picture_file(const std::filesystem::path& path);

// As displayed, before resizing; of JPEG and PNG only the header is decoded. A Fault names the file
// and says what is wrong with it.
core::Result<FrameSize> picture_size(const std::filesystem::path& path);

// With limits, resized by smart_resize and resize_bicubic; without, as large as the file has it. Of
// a film the first picture. A Fault names the file; a picture that was cut off or fails its
// checksums is one.
core::Result<Picture> read_picture(const std::filesystem::path& path,
                                   const std::optional<PixelLimits>& limits);

}  // namespace streamo::video
