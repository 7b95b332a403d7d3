// The size at which the model sees a picture.
#pragma once

#include <cstdint>
#include <string>

namespace streamo::video {

struct FrameSize {
  int height = 0, width = 0;  // pixels
  friend bool operator==(const FrameSize&, const FrameSize&) = default;
};

// Limits of the resized picture: sides are multiples of `factor`, height*width within [min, max]
// pixels.
struct PixelLimits {
  int64_t min_pixels = 3136, max_pixels = 100352;
  int factor = 28;  // patch size x merge size
};

// How frames of a video get there. Pictures from files always take the exact way.
enum class ResizeMode {
  kFast,   // the same but for rounding, in one pass: 54 dB and more from kExact
  kExact,  // FFmpeg's most careful conversion to RGB at full size, then resize_bicubic
};

ResizeMode parse_resize(const std::string& name);  // fast | exact (STREAMO_CHECK)

// Qwen2.5-VL's smart resize, with Python's rounding (half to even).
// Throws core::Error{kData} for an aspect ratio above 200, as the original refuses it.
FrameSize smart_resize(FrameSize original, const PixelLimits& limits);

}  // namespace streamo::video
