#include "frame_converter.h"

#include <fmt/format.h>

#include "file_watch.h"
#include "input.h"
#include "streamo/video/bicubic_resize.h"

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
    return file_fault(path, refused.what());
  }
}

}  // namespace

core::Result<FrameConverter> FrameConverter::make(const fs::path& path, const AVStream& stream,
                                                  const AVFrame& first,
                                                  const SampleOptions& options) {
  const Turn turn = display_turn(stream);
  const FrameSize size = turn.displayed({first.height, first.width});
  const core::Result<FrameSize> target = target_size(path, size, options);
  if (!target) return target.fault();
  return FrameConverter(turn, size, *target, options.resize);
}

std::vector<uint8_t> FrameConverter::convert(const AVFrame& picture) {
  const bool exact = resize_ == ResizeMode::kExact;
  const FrameSize size = exact ? turn_.displayed({picture.height, picture.width}) : target_;
  if (!scaler_ || scaler_->target() != size) scaler_.emplace(size, turn_);
  std::vector<uint8_t> rgb = scaler_->convert(picture);
  if (!exact || rgb.empty()) return rgb;
  return resize_bicubic(rgb, size, target_);
}

}  // namespace streamo::video
