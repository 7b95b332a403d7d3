// JPEG files by libjpeg-turbo, whose pixels are those of Pillow: FFmpeg's decoder rounds otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "streamo/core/error.h"
#include "streamo/video/resize.h"

namespace streamo::video {

// As coded, without turning. A Fault says what is wrong with the data, not in which file.
core::Result<FrameSize> jpeg_size(std::string_view bytes);

// [height, width, 3]. Grey is repeated; CMYK (with inverted values, as Adobe writes them) becomes
// RGB by Pillow's formula. Baseline and progressive, 8 bits, of at most kMaxJpegScans scans: each
// goes over the whole picture, however little it holds. `give_up`, asked again and again, ends it.
inline constexpr int kMaxJpegScans = 100;
core::Result<std::vector<uint8_t>> decode_jpeg(std::string_view bytes,
                                               const std::function<bool()>& give_up = {});

// `rgb`: [height, width, 3]; quality 1 to 100, chroma at full size. A Fault for a side above 65500.
core::Result<std::string> encode_jpeg(std::span<const uint8_t> rgb, FrameSize size, int quality);

}  // namespace streamo::video
