// Picks evenly spaced samples, shrinks them, and lays out a page of a pleasant shape.
#include "video/image/contact_sheet.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "video/image/bitmap_font.h"
#include "video/image/png.h"
#include "video/pixels/bicubic_resize.h"

namespace streamo::video {
namespace {

constexpr int kMargin = 6;      // around each picture
constexpr double kShape = 1.6;  // width of the page by its height, as long as there are columns
constexpr uint8_t kPaper = 24, kBright = 240, kDim = 150;

// Shrunk into the square of kThumbnailSide; small pictures stay as they are.
FrameSize thumbnail_size(FrameSize size) {
  const double scale = std::min(
      1.0, static_cast<double>(ContactSheet::kThumbnailSide) / std::max(size.height, size.width));
  const auto shrink = [&](int side) {
    return std::max(1, static_cast<int>(std::lround(side * scale)));
  };
  return {shrink(size.height), shrink(size.width)};
}

// 4.5 for 4.500, 4 for 4.000
std::string shortest(double seconds) {
  std::string text = fmt::format("{:.3f}", seconds);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

int choose_columns(int64_t count, int cell_width, int cell_height) {
  const double columns = std::sqrt(static_cast<double>(count) * kShape * cell_height / cell_width);
  const int64_t most = std::min<int64_t>(count, ContactSheet::kMaxColumns);
  // At least so many that the rows suffice.
  const int64_t least = (count + ContactSheet::kMaxRows - 1) / ContactSheet::kMaxRows;
  return static_cast<int>(std::clamp<int64_t>(std::lround(columns), std::min(least, most), most));
}

void paste(std::span<const uint8_t> picture, FrameSize from, std::span<uint8_t> page,
           FrameSize size, int x, int y) {
  const auto row_bytes = static_cast<std::ptrdiff_t>(from.width) * 3;
  for (int row = 0; row < from.height; ++row) {
    const auto to = (static_cast<std::ptrdiff_t>(y + row) * size.width + x) * 3;
    std::copy_n(picture.begin() + row * row_bytes, row_bytes, page.begin() + to);
  }
}

}  // namespace

ContactSheet::ContactSheet(int64_t num_samples)
    : num_samples_(num_samples),
      num_shown_(std::min<int64_t>(num_samples, int64_t{kMaxColumns} * kMaxRows)) {
  STREAMO_CHECK(num_samples > 0, "a sheet shows something");
}

void ContactSheet::add(const Frame& sample) {
  const auto next = static_cast<int64_t>(thumbnails_.size());
  if (next == num_shown_ || sample.index != next * num_samples_ / num_shown_) return;
  if (next == 0) size_ = thumbnail_size(sample.size);
  thumbnails_.push_back({shortest(sample.time) + "s", fmt::format("{:.3f}", sample.pts_time),
                         resize_bicubic(sample.rgb, sample.size, size_)});
}

void ContactSheet::write_png(const std::filesystem::path& path) const {
  STREAMO_CHECK(!thumbnails_.empty(), "a sheet shows something");
  const auto label_width = [&](int scale) {
    int widest = 0;
    for (const Thumbnail& thumbnail : thumbnails_) {
      widest = std::max(widest, text_width(thumbnail.time + "  " + thumbnail.pts_time, scale));
    }
    return widest;
  };
  const int scale = label_width(2) <= kThumbnailSide ? 2 : 1;
  const int width = std::max(size_.width, label_width(scale));
  const int cell_width = width + 2 * kMargin;
  const int cell_height = size_.height + scale * kGlyphHeight + 3 * kMargin;
  const auto count = static_cast<int64_t>(thumbnails_.size());
  const int columns = choose_columns(count, cell_width, cell_height);
  const auto rows = static_cast<int>((count + columns - 1) / columns);
  const FrameSize page_size{rows * cell_height, columns * cell_width};
  std::vector<uint8_t> page(
      static_cast<size_t>(page_size.height) * static_cast<size_t>(page_size.width) * 3, kPaper);
  for (int i = 0; i < count; ++i) {
    const Thumbnail& thumbnail = thumbnails_[static_cast<size_t>(i)];
    const int x = i % columns * cell_width + kMargin, y = i / columns * cell_height + kMargin;
    paste(thumbnail.rgb, size_, page, page_size, x + (width - size_.width) / 2, y);
    const int below = y + size_.height + kMargin;
    draw_text({page_size, page}, x, below, thumbnail.time, scale, kBright);
    draw_text({page_size, page}, x + width - text_width(thumbnail.pts_time, scale), below,
              thumbnail.pts_time, scale, kDim);
  }
  video::write_png(path, page_size, page);
}

}  // namespace streamo::video
