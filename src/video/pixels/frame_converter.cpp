// Chooses the fast or the exact path for a picture, and applies the display orientation.
#include "video/pixels/frame_converter.h"

#include <fmt/format.h>

#include "video/cache/file_watch.h"
#include "video/ffmpeg/input.h"
#include "video/pixels/bicubic_resize.h"

namespace streamo::video {
namespace fs = std::filesystem;
namespace {

core::Result<FrameSize> target_size(const fs::path& path, FrameSize size,
                                    const SampleOptions& options) {
  if (size.height <= 0 || size.width <= 0 || int64_t{size.height} * size.width > kMaxPixels) {
    return file_fault(
        path, fmt::format("pictures of {}x{} pixels cannot be used", size.width, size.height));
  }
  if (!options.pixel_limits) return size;
  try {
    return smart_resize(size, *options.pixel_limits);
  } catch (const core::Error& refused) {
    return file_fault(path, refused.summary());
  }
}

}  // namespace

core::Result<FrameConverter> FrameConverter::make(const fs::path& path, const AVStream& stream,
                                                  const AVFrame& first,
                                                  const SampleOptions& options) {
  const Orientation orientation = display_orientation(stream);
  const FrameSize size = orientation.displayed({first.height, first.width});
  const core::Result<FrameSize> target = target_size(path, size, options);
  if (!target) return target.fault();
  return FrameConverter(orientation, size, *target, options.resize);
}

std::vector<uint8_t> FrameConverter::scale(const AVFrame& picture) {
  const FrameSize coded{picture.height, picture.width};
  if (!scaler_ || scaler_->from() != coded) {
    scaler_.emplace(coded, orientation_.displayed(target_));  // swapping twice is no swap
  }
  std::vector<uint8_t> scaled = scaler_->convert(picture);
  if (orientation_ == Orientation{}) return scaled;
  std::vector<uint8_t> rgb(scaled.size());
  copy_oriented(scaled.data(), ptrdiff_t{orientation_.displayed(target_).width} * 3, orientation_,
                target_, rgb.data());
  return rgb;
}

std::vector<uint8_t> FrameConverter::convert(const AVFrame& picture) {
  const FrameSize size = orientation_.displayed({picture.height, picture.width});
  const bool keeps_size = size == target_;
  const bool shrinks = target_.height <= size.height && target_.width <= size.width;
  if (resize_ == ResizeMode::kFast && !keeps_size && shrinks && YuvScaler::can_read(picture)) {
    return scale(picture);
  }
  std::vector<uint8_t> rgb = converter_.convert(picture);
  if (keeps_size || rgb.empty()) return rgb;
  return resize_bicubic(rgb, size, target_);
}

}  // namespace streamo::video
