// Lossless: differences from the previous frame or from neighbouring pixels, whichever is smaller,
// then zstd. Lossy: JPEG.
#include "video/cache/frame_codec.h"

#include <zstd.h>

#include <memory>

#include "video/image/jpeg.h"

namespace streamo::video {
namespace {

constexpr int kZstdLevel = 1;

// Where the differences of a picture go: all of green, then all of red, then all of blue.
struct Planes {
  uint8_t* green;
  uint8_t* red;
  uint8_t* blue;

  Planes(uint8_t* start, FrameSize size)
      : green(start),
        red(start + static_cast<size_t>(size.height) * static_cast<size_t>(size.width)),
        blue(red + (red - green)) {}
  void skip(size_t pixels) {
    green += pixels;
    red += pixels;
    blue += pixels;
  }
};

struct Pixel {
  uint8_t green = 0, red = 0, blue = 0;  // red and blue less green
};

Pixel operator-(Pixel a, Pixel b) {
  return {static_cast<uint8_t>(a.green - b.green), static_cast<uint8_t>(a.red - b.red),
          static_cast<uint8_t>(a.blue - b.blue)};
}
Pixel operator+(Pixel a, Pixel b) {
  return {static_cast<uint8_t>(a.green + b.green), static_cast<uint8_t>(a.red + b.red),
          static_cast<uint8_t>(a.blue + b.blue)};
}

Pixel load(const uint8_t* rgb) {
  return {rgb[1], static_cast<uint8_t>(rgb[0] - rgb[1]), static_cast<uint8_t>(rgb[2] - rgb[1])};
}

// With kChained, differences are taken from the difference of the pixel to the left: this is the
// gradient when `reference` is the row above.
template <bool kChained>
void subtract_row(const uint8_t* row, const uint8_t* reference, size_t width, const Planes& out) {
  Pixel left;
  for (size_t x = 0; x < width; ++x) {
    const Pixel difference = load(row + 3 * x) - load(reference + 3 * x);
    const Pixel coded = kChained ? difference - left : difference;
    left = difference;
    out.green[x] = coded.green;
    out.red[x] = coded.red;
    out.blue[x] = coded.blue;
  }
}

template <bool kChained>
void add_row(const Planes& coded, const uint8_t* reference, size_t width, uint8_t* row) {
  Pixel difference;
  for (size_t x = 0; x < width; ++x) {
    const Pixel step{coded.green[x], coded.red[x], coded.blue[x]};
    difference = kChained ? difference + step : step;
    const Pixel pixel = load(reference + 3 * x) + difference;
    row[3 * x] = static_cast<uint8_t>(pixel.red + pixel.green);
    row[3 * x + 1] = pixel.green;
    row[3 * x + 2] = static_cast<uint8_t>(pixel.blue + pixel.green);
  }
}

// Calls work(row, reference row) for each row; the row above the first is black.
template <typename Byte, typename Work>
void for_each_row(FrameSize size, Byte* rgb, const uint8_t* previous, const Work& work) {
  const size_t row_bytes = static_cast<size_t>(size.width) * 3;
  const std::vector<uint8_t> black(previous == nullptr ? row_bytes : 0);
  for (int y = 0; y < size.height; ++y) {
    Byte* row = rgb + static_cast<size_t>(y) * row_bytes;
    const uint8_t* reference = previous != nullptr ? previous + (row - rgb)
                               : y > 0             ? row - row_bytes
                                                   : black.data();
    work(row, reference);
  }
}

size_t rgb_bytes(FrameSize size) {
  return static_cast<size_t>(size.height) * static_cast<size_t>(size.width) * 3;
}

// The contexts are large (about 1 MB) and are kept by each thread.
ZSTD_CCtx& compressor() {
  thread_local const std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> context(ZSTD_createCCtx(),
                                                                                ZSTD_freeCCtx);
  return *context;
}
ZSTD_DCtx& decompressor() {
  thread_local const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                                ZSTD_freeDCtx);
  return *context;
}

std::string compress(const std::vector<uint8_t>& planes) {
  std::string bytes(ZSTD_compressBound(planes.size()), '\0');
  const size_t used = ZSTD_compressCCtx(&compressor(), bytes.data(), bytes.size(), planes.data(),
                                        planes.size(), kZstdLevel);
  STREAMO_CHECK(ZSTD_isError(used) == 0, ZSTD_getErrorName(used));
  bytes.resize(used);
  return bytes;
}

template <bool kChained>
std::string code_differences(std::span<const uint8_t> rgb, const uint8_t* previous,
                             FrameSize size) {
  std::vector<uint8_t> differences(rgb.size());
  Planes planes(differences.data(), size);
  const auto width = static_cast<size_t>(size.width);
  for_each_row(size, rgb.data(), previous, [&](const uint8_t* row, const uint8_t* reference) {
    subtract_row<kChained>(row, reference, width, planes);
    planes.skip(width);
  });
  return compress(differences);
}

template <bool kChained>
void decode_differences(std::vector<uint8_t>& differences, const uint8_t* previous, FrameSize size,
                        std::vector<uint8_t>& rgb) {
  Planes planes(differences.data(), size);
  const auto width = static_cast<size_t>(size.width);
  for_each_row(size, rgb.data(), previous, [&](uint8_t* row, const uint8_t* reference) {
    add_row<kChained>(planes, reference, width, row);
    planes.skip(width);
  });
}

}  // namespace

CodedFrame code_lossless(std::span<const uint8_t> rgb, std::span<const uint8_t> previous,
                         FrameSize size) {
  STREAMO_CHECK(rgb.size() == rgb_bytes(size), "not a picture of this size");
  CodedFrame spatial{FrameCoding::kNeighbours, code_differences<true>(rgb, nullptr, size)};
  if (previous.empty()) return spatial;
  STREAMO_CHECK(previous.size() == rgb.size(), "the pictures of an entry have one size");
  CodedFrame temporal{FrameCoding::kPrevious, code_differences<false>(rgb, previous.data(), size)};
  return temporal.bytes.size() < spatial.bytes.size() ? temporal : spatial;
}

core::Result<CodedFrame> code_jpeg(std::span<const uint8_t> rgb, FrameSize size, int quality) {
  STREAMO_CHECK(rgb.size() == rgb_bytes(size), "not a picture of this size");
  core::Result<std::string> bytes = encode_jpeg(rgb, size, quality);
  if (!bytes) return bytes.fault();
  return CodedFrame{FrameCoding::kJpeg, *std::move(bytes)};
}

core::Result<std::vector<uint8_t>> decode_frame(FrameCoding coding, std::string_view bytes,
                                                std::span<const uint8_t> previous, FrameSize size) {
  if (coding == FrameCoding::kJpeg) {
    const auto coded_size = jpeg_size(bytes);
    if (!coded_size) return coded_size.fault();
    if (*coded_size != size) return core::Fault{"a picture of another size"};
    return decode_jpeg(bytes);
  }
  thread_local std::vector<uint8_t> differences;
  differences.resize(rgb_bytes(size));
  const size_t got = ZSTD_decompressDCtx(&decompressor(), differences.data(), differences.size(),
                                         bytes.data(), bytes.size());
  if (ZSTD_isError(got) != 0) return core::Fault{ZSTD_getErrorName(got)};
  if (got != differences.size()) return core::Fault{"too few pixels"};
  std::vector<uint8_t> rgb(differences.size());
  if (coding == FrameCoding::kNeighbours) {
    decode_differences<true>(differences, nullptr, size, rgb);
    return rgb;
  }
  if (coding != FrameCoding::kPrevious || previous.size() != rgb.size()) {
    return core::Fault{"no picture before it"};
  }
  decode_differences<false>(differences, previous.data(), size, rgb);
  return rgb;
}

}  // namespace streamo::video
