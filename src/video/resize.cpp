// Qwen2-VL's smart_resize, with Python's rounding.
#include "streamo/video/resize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "streamo/core/error.h"

namespace streamo::video {
namespace {

constexpr double kMaxAspectRatio = 200.0;

// Python's round(): the nearest integer, half to even. std::round takes halves away from zero and
// differs for every other multiple of factor / 2; written out here so that it does not hang on the
// floating-point mode.
double round_half_even(double value) {
  const double below = std::floor(value);
  const double rest = value - below;
  if (rest != 0.5) return rest < 0.5 ? below : below + 1.0;
  return std::fmod(below, 2.0) == 0.0 ? below : below + 1.0;
}

}  // namespace

ResizeMode parse_resize(const std::string& name) {
  if (name == "fast") return ResizeMode::kFast;
  STREAMO_CHECK(name == "exact", "callers allow no other value");
  return ResizeMode::kExact;
}

// The order of the operations is the original's: h / beta / f and h / (beta * f) round differently.
FrameSize smart_resize(FrameSize original, const PixelLimits& limits) {
  STREAMO_CHECK(original.height > 0 && original.width > 0, "a picture without pixels");
  const double height = original.height, width = original.width, factor = limits.factor;
  if (std::max(height, width) / std::min(height, width) > kMaxAspectRatio) {
    throw core::Error(core::ErrorKind::kData,
                      fmt::format("a picture of {}x{} pixels is too long and thin (ratio of the "
                                  "sides above {:.0f})",
                                  original.width, original.height, kMaxAspectRatio));
  }
  double new_height = round_half_even(height / factor) * factor;
  double new_width = round_half_even(width / factor) * factor;
  const auto max_pixels = static_cast<double>(limits.max_pixels);
  const auto min_pixels = static_cast<double>(limits.min_pixels);
  if (new_height * new_width > max_pixels) {
    const double beta = std::sqrt(height * width / max_pixels);
    new_height = std::max(factor, std::floor(height / beta / factor) * factor);
    new_width = std::max(factor, std::floor(width / beta / factor) * factor);
  } else if (new_height * new_width < min_pixels) {
    const double beta = std::sqrt(min_pixels / (height * width));
    new_height = std::ceil(height * beta / factor) * factor;
    new_width = std::ceil(width * beta / factor) * factor;
  }
  return {static_cast<int>(new_height), static_cast<int>(new_width)};
}

}  // namespace streamo::video
