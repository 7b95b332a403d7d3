// From the pictures of one video to frames of one size.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "streamo/core/error.h"
#include "streamo/video/sampler.h"
#include "video/pixels/rgb_converter.h"
#include "video/pixels/yuv_scaler.h"

namespace streamo::video {

class FrameConverter {
 public:
  // The size of all frames is that of the first picture, resized as the options say.
  static core::Result<FrameConverter> make(const std::filesystem::path& path,
                                           const AVStream& stream, const AVFrame& first,
                                           const SampleOptions& options);

  FrameSize original() const { return original_; }  // as shown, before resizing
  FrameSize target() const { return target_; }

  // [height, width, 3] of the target size; empty when FFmpeg cannot convert this kind of picture.
  std::vector<uint8_t> convert(const AVFrame& picture);

 private:
  std::vector<uint8_t> scale(const AVFrame& picture);
  FrameConverter(Orientation orientation, FrameSize original, FrameSize target, ResizeMode resize)
      : orientation_(orientation),
        original_(original),
        target_(target),
        resize_(resize),
        converter_(orientation) {}

  Orientation orientation_;
  FrameSize original_, target_;
  ResizeMode resize_;
  RgbConverter converter_;
  std::optional<YuvScaler> scaler_;  // to the target
};

}  // namespace streamo::video
