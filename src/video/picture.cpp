#include "streamo/video/picture.h"

#include <fmt/format.h>

#include <fstream>
#include <string>
#include <utility>

#include "decoder.h"
#include "jpeg.h"
#include "picture_header.h"
#include "rgb_converter.h"
#include "rgb_pixels.h"
#include "streamo/core/file.h"
#include "streamo/video/bicubic_resize.h"
#include "turn.h"

namespace streamo::video {
namespace fs = std::filesystem;
namespace {

using core::Fault;
using core::Result;

constexpr double kPictureSeconds = 60;  // as SampleOptions::time_limit

struct File {
  std::string bytes;
  PictureFormat format = PictureFormat::kOther;
};

std::optional<Fault> check_size(const fs::path& path, FrameSize size) {
  if (size.height > 0 && size.width > 0 && int64_t{size.height} * size.width <= kMaxPicturePixels) {
    return std::nullopt;
  }
  return file_fault(path, fmt::format("a picture of {}x{} pixels cannot be used (1 to {} in all)",
                                      size.width, size.height, kMaxPicturePixels));
}

Result<File> read(const fs::path& path) {
  if (auto fault = missing_content(path)) return *std::move(fault);
  try {
    std::string bytes = core::read_file(path);
    const PictureFormat format = picture_format(bytes);
    return File{std::move(bytes), format};
  } catch (const core::Error& refused) {
    return Fault{refused.summary()};
  }
}

// What can be told of the size before anything is decoded (FFmpeg allocates what a header asks
// for), as coded; checked.
Result<std::optional<FrameSize>> size_in_header(const fs::path& path, const File& file) {
  std::optional<FrameSize> size;
  if (file.format == PictureFormat::kPng) size = png_size(file.bytes);
  if (file.format == PictureFormat::kJpeg) {
    const Result<FrameSize> told = jpeg_size(file.bytes);
    if (!told) return file_fault(path, told.reason());
    size = *told;
  }
  if (size) {
    if (auto fault = check_size(path, *size)) return *std::move(fault);
  }
  return size;
}

// As coded, and how it is to be turned.
struct Decoded {
  Picture picture;
  Turn turn;
};

// `exif`: the turn, for the formats that carry Exif data.
Result<Decoded> decode_watched(const std::shared_ptr<FileWatch>& watch, PictureFormat format,
                               Turn exif) {
  const fs::path& path = watch->path;
  // Of other formats FFmpeg would then refuse what it merely does not know.
  const Damage damage = format == PictureFormat::kPng ? Damage::kRefuse : Damage::kGoOn;
  Result<Decoder> decoder =
      Decoder::open(watch, {.damage = damage, .max_pixels = kMaxPicturePixels});
  if (!decoder) return decoder.fault();
  const AVStream& stream = decoder->demuxer().stream();
  const FramePtr frame = make_frame();
  if (!decoder->next(*frame)) {
    return file_fault(path, fmt::format("its picture cannot be decoded ({})",
                                        ffmpeg_reason(AVERROR_INVALIDDATA)));
  }
  const FrameSize size{frame->height, frame->width};
  if (auto fault = check_size(path, size)) return *std::move(fault);
  const Turn turn = format == PictureFormat::kOther ? display_turn(stream) : exif;
  if (has_rgb_values(*frame)) return Decoded{{size, to_rgb(*frame)}, turn};
  std::vector<uint8_t> rgb = RgbConverter(Turn{}).convert(*frame);
  if (rgb.empty()) return file_fault(path, "FFmpeg cannot convert its colours to RGB");
  lay_on_white(*frame, rgb);
  return Decoded{{size, std::move(rgb)}, turn};
}

Result<Decoded> decode_by_ffmpeg(const fs::path& path, const File& file) {
  if (file.format == PictureFormat::kTiff && is_jpeg_in_tiff(file.bytes)) {
    return file_fault(path, "TIFF compressed as JPEG cannot be read; convert it to JPEG or PNG");
  }
  const auto watch = std::make_shared<FileWatch>(path, kPictureSeconds);
  const PictureFormat format = file.format;
  const Turn exif = exif_turn(file.bytes, format);
  return run_watched<Decoded>(
      watch, [watch, format, exif] { return decode_watched(watch, format, exif); });
}

Result<Decoded> decode(const fs::path& path) {
  const Result<File> file = read(path);
  if (!file) return file.fault();
  const Result<std::optional<FrameSize>> size = size_in_header(path, *file);
  if (!size) return size.fault();
  if (file->format != PictureFormat::kJpeg) return decode_by_ffmpeg(path, *file);
  Result<std::vector<uint8_t>> rgb = decode_jpeg(file->bytes);
  if (!rgb) return file_fault(path, rgb.reason());
  return Decoded{{**size, *std::move(rgb)}, exif_turn(file->bytes, file->format)};
}

Picture turned(Decoded decoded) {
  if (decoded.turn == Turn{}) return std::move(decoded.picture);
  const Picture& coded = decoded.picture;
  Picture shown{decoded.turn.displayed(coded.size), std::vector<uint8_t>(coded.rgb.size())};
  copy_turned(coded.rgb.data(), ptrdiff_t{coded.size.width} * 3, decoded.turn, shown.size,
              shown.rgb.data());
  return shown;
}

}  // namespace

bool is_picture_file(const fs::path& path) {
  if (missing_content(path)) return false;  // opening a pipe would wait for its writer
  std::string beginning(16, '\0');
  std::ifstream(path, std::ios::binary)
      .read(beginning.data(), static_cast<std::streamsize>(beginning.size()));
  return picture_format(beginning) != PictureFormat::kOther;
}

Result<FrameSize> picture_size(const fs::path& path) {
  const Result<File> file = read(path);
  if (!file) return file.fault();
  const Result<std::optional<FrameSize>> size = size_in_header(path, *file);
  if (!size) return size.fault();
  if (*size) return exif_turn(file->bytes, file->format).displayed(**size);
  const Result<Decoded> decoded = decode_by_ffmpeg(path, *file);
  if (!decoded) return decoded.fault();
  return decoded->turn.displayed(decoded->picture.size);
}

Result<Picture> read_picture(const fs::path& path, const std::optional<PixelLimits>& limits) {
  Result<Decoded> decoded = decode(path);
  if (!decoded) return decoded.fault();
  Picture picture = turned(*std::move(decoded));
  if (!limits) return picture;
  FrameSize size;
  try {
    size = smart_resize(picture.size, *limits);
  } catch (const core::Error& refused) {
    return file_fault(path, refused.summary());
  }
  return Picture{size, resize_bicubic(picture.rgb, picture.size, size)};
}

}  // namespace streamo::video
