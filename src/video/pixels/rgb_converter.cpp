// swscale at equal size with full chroma interpolation and Pillow's bicubic, and the display matrix
// of a stream.
#include "video/pixels/rgb_converter.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

#include <array>
#include <cstring>

#include "video/ffmpeg/ffmpeg_versions.h"

namespace streamo::video {
namespace {

constexpr int kConverterFlags =
    SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP;
constexpr std::array<double, 2> kPillowBicubic{0.0, 0.5};  // B, C: a = -0.5; FFmpeg's own is -0.6

constexpr int kRowAlignment = 64;  // swscale's vector code may write past the end of a row

int padded_row_bytes(int width) {
  return (width * 3 + kRowAlignment - 1) / kRowAlignment * kRowAlignment + kRowAlignment;
}

int sign(int32_t value) {
  return value > 0 ? 1 : value < 0 ? -1 : 0;
}

}  // namespace

bool is_full_range(const AVFrame& picture) {
  switch (picture.format) {
    case AV_PIX_FMT_YUVJ420P:
    case AV_PIX_FMT_YUVJ411P:
    case AV_PIX_FMT_YUVJ422P:
    case AV_PIX_FMT_YUVJ440P:
    case AV_PIX_FMT_YUVJ444P:
      return true;
    default:
      return picture.color_range == AVCOL_RANGE_JPEG;
  }
}

int colour_matrix(const AVFrame& picture) {
  int number = 0;
  static_assert(sizeof(number) == sizeof(picture.colorspace));
  std::memcpy(&number, &picture.colorspace, sizeof(number));
  return number;
}

// A point (p, q) is shown at (a p + c q, b p + d q); the matrix is a b u / c d v / x y w.
Orientation display_orientation(const AVStream& stream) {
  const auto told = stream_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX);
  std::array<int32_t, 9> matrix{};
  if (told.size() < sizeof(matrix)) return {};
  std::memcpy(matrix.data(), told.data(), sizeof(matrix));
  const int a = sign(matrix[0]), b = sign(matrix[1]), c = sign(matrix[3]), d = sign(matrix[4]);
  if (a != 0 && d != 0 && b == 0 && c == 0) return {false, a < 0, d < 0};
  if (a == 0 && d == 0 && b != 0 && c != 0) return {true, c < 0, b < 0};
  return {};
}

bool RgbConverter::prepare(const Source& source) {
  if (scaler_ && source == source_) return true;
  scaler_.reset(sws_getContext(
      source.width, source.height, static_cast<AVPixelFormat>(source.format), source.width,
      source.height, AV_PIX_FMT_RGB24, kConverterFlags, nullptr, nullptr, kPillowBicubic.data()));
  if (!scaler_) return false;
  // Untagged pictures get the coefficients of BT.601, like in every peer. RGB pictures refuse them,
  // rightly.
  const int* coefficients = sws_getCoefficients(source.colour_matrix);
  constexpr int kOne = 1 << 16;
  sws_setColorspaceDetails(scaler_.get(), coefficients, source.full_range ? 1 : 0, coefficients, 1,
                           0, kOne, kOne);
  source_ = source;
  converted_.resize(static_cast<size_t>(padded_row_bytes(source.width)) *
                    static_cast<size_t>(source.height));
  return true;
}

std::vector<uint8_t> RgbConverter::convert(const AVFrame& picture) {
  if (!prepare({picture.width, picture.height, picture.format, colour_matrix(picture),
                is_full_range(picture)})) {
    return {};
  }
  const std::array<uint8_t*, 4> planes{converted_.data(), nullptr, nullptr, nullptr};
  const std::array<int, 4> strides{padded_row_bytes(picture.width), 0, 0, 0};
  const int rows = sws_scale(scaler_.get(), picture.data, picture.linesize, 0, picture.height,
                             planes.data(), strides.data());
  if (rows != picture.height) return {};
  const FrameSize shown = orientation_.displayed({picture.height, picture.width});
  std::vector<uint8_t> rgb(static_cast<size_t>(shown.height) * static_cast<size_t>(shown.width) *
                           3);
  copy_oriented(converted_.data(), strides[0], orientation_, shown, rgb.data());
  return rgb;
}

}  // namespace streamo::video
