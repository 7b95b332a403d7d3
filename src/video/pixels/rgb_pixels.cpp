// Reads components through FFmpeg's pixel format descriptors, reduces depth as Pillow does, and
// composites alpha on white.
#include "video/pixels/rgb_pixels.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

namespace streamo::video {
namespace {

const AVPixFmtDescriptor& pixel_descriptor(const AVFrame& picture) {
  return *av_pix_fmt_desc_get(static_cast<AVPixelFormat>(picture.format));
}

bool has(const AVPixFmtDescriptor& descriptor, uint64_t flag) {
  return (descriptor.flags & flag) != 0;
}

bool is_grey(const AVPixFmtDescriptor& descriptor) {
  return descriptor.nb_components <= 2 && !has(descriptor, AV_PIX_FMT_FLAG_RGB) &&
         !has(descriptor, AV_PIX_FMT_FLAG_PAL);
}

// Row after row of one component (0, 1, 2: red, green, blue; or 0: grey), brought to bytes.
class ComponentReader {
 public:
  explicit ComponentReader(const AVFrame& picture)
      : picture_(picture),
        descriptor_(pixel_descriptor(picture)),
        row_(static_cast<size_t>(picture.width)) {
    std::copy(std::begin(picture.data), std::begin(picture.data) + 4, data_.begin());
    std::copy(std::begin(picture.linesize), std::begin(picture.linesize) + 4, strides_.begin());
  }

  bool has_alpha() const { return has(descriptor_, AV_PIX_FMT_FLAG_ALPHA) || is_palette(); }
  int alpha() const { return is_palette() ? 3 : descriptor_.nb_components - 1; }
  int colour(int channel) const { return is_grey(descriptor_) ? 0 : channel; }

  // Component `index` of row y, into each `step`-th byte from `out` on.
  void read(int index, int y, uint8_t* out, ptrdiff_t step) {
    const int stored = is_palette() ? 0 : index;
    av_read_image_line2(row_.data(), data_.data(), strides_.data(), &descriptor_, 0, y, stored,
                        picture_.width, 0, sizeof(uint16_t));
    const int depth = descriptor_.comp[stored].depth;
    for (const uint16_t value : row_) {
      *out = is_palette() ? of_palette(value, index) : to_byte(value, depth);
      out += step;
    }
  }

 private:
  bool is_palette() const { return has(descriptor_, AV_PIX_FMT_FLAG_PAL); }

  uint8_t of_palette(int entry, int index) const {
    static constexpr std::array<int, 4> kShift{16, 8, 0, 24};  // an entry is 0xAARRGGBB
    uint32_t colour = 0;
    std::memcpy(&colour, data_[1] + ptrdiff_t{entry} * 4, sizeof(colour));
    return static_cast<uint8_t>(colour >> kShift[static_cast<size_t>(index)]);
  }

  uint8_t to_byte(int value, int depth) const {
    if (picture_.format == AV_PIX_FMT_MONOWHITE) value = 1 - value;
    if (depth == 8) return static_cast<uint8_t>(value);
    if (depth == 16 && descriptor_.nb_components == 1) {
      return static_cast<uint8_t>(std::min(value, 255));
    }
    if (depth > 8) return static_cast<uint8_t>(value >> (depth - 8));
    return static_cast<uint8_t>(value * 255 / ((1 << depth) - 1));
  }

  const AVFrame& picture_;
  const AVPixFmtDescriptor& descriptor_;
  std::vector<uint16_t> row_;
  std::array<const uint8_t*, 4> data_{};
  std::array<int, 4> strides_{};
};

// Pillow's alpha_composite on opaque white, whose sums have 7 bits more than the result.
uint8_t on_white(int value, int alpha) {
  constexpr int kBits = 7;
  if (alpha == 0) return 255;
  const int own = alpha << kBits, white = (255 << kBits) - own;
  const int sum = value * own + 255 * white + (128 << kBits);
  return static_cast<uint8_t>((((sum >> 8) + sum) >> 8) >> kBits);
}

void lay_on_white(std::span<const uint8_t> alpha, uint8_t* rgb) {
  for (const uint8_t opacity : alpha) {
    for (int channel = 0; channel < 3; ++channel, ++rgb) *rgb = on_white(*rgb, opacity);
  }
}

}  // namespace

bool has_rgb_values(const AVFrame& picture) {
  const AVPixFmtDescriptor& descriptor = pixel_descriptor(picture);
  if (has(descriptor, AV_PIX_FMT_FLAG_FLOAT) || has(descriptor, AV_PIX_FMT_FLAG_HWACCEL) ||
      has(descriptor, AV_PIX_FMT_FLAG_BAYER)) {
    return false;
  }
  return has(descriptor, AV_PIX_FMT_FLAG_RGB) || has(descriptor, AV_PIX_FMT_FLAG_PAL) ||
         is_grey(descriptor);
}

std::vector<uint8_t> to_rgb(const AVFrame& picture) {
  const auto width = static_cast<size_t>(picture.width);
  std::vector<uint8_t> rgb(static_cast<size_t>(picture.height) * width * 3);
  ComponentReader reader(picture);
  std::vector<uint8_t> alpha(width);
  uint8_t* row = rgb.data();
  for (int y = 0; y < picture.height; ++y, row += width * 3) {
    if (picture.format == AV_PIX_FMT_RGB24) {  // the usual kind: nothing to do
      std::memcpy(row, picture.data[0] + ptrdiff_t{y} * picture.linesize[0], width * 3);
      continue;
    }
    for (int channel = 0; channel < 3; ++channel) {
      reader.read(reader.colour(channel), y, row + channel, 3);
    }
    if (!reader.has_alpha()) continue;
    reader.read(reader.alpha(), y, alpha.data(), 1);
    lay_on_white(alpha, row);
  }
  return rgb;
}

void lay_on_white(const AVFrame& picture, std::vector<uint8_t>& rgb) {
  ComponentReader reader(picture);
  if (!reader.has_alpha()) return;
  std::vector<uint8_t> alpha(static_cast<size_t>(picture.width));
  uint8_t* row = rgb.data();
  for (int y = 0; y < picture.height; ++y, row += alpha.size() * 3) {
    reader.read(reader.alpha(), y, alpha.data(), 1);
    lay_on_white(alpha, row);
  }
}

}  // namespace streamo::video
