// Decoded pictures that are RGB, grey or of a palette, to RGB without any rounding of FFmpeg's.
#pragma once

#include <cstdint>
#include <vector>

#include "video/ffmpeg/ffmpeg_handles.h"

namespace streamo::video {

// Whether a picture's values are colours already, not brightness and colour differences.
bool has_rgb_values(const AVFrame& picture);

// [height, width, 3] of such a picture, as Pillow opens it and the image processors of transformers
// 5 convert it: of 16 bits the upper 8, except that grey of 16 bits is clipped at 255; fewer bits
// stretched to 8; what is transparent laid on white.
std::vector<uint8_t> to_rgb(const AVFrame& picture);

// Lays the picture on white where its alpha says so; `rgb` is its [height, width, 3]. For pictures
// that have alpha and were converted by other means.
void lay_on_white(const AVFrame& picture, std::vector<uint8_t>& rgb);

}  // namespace streamo::video
