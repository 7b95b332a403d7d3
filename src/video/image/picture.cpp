// Image files: recognising the format, their size, and their pixels.
#include "video/image/picture.h"

#include <fmt/format.h>

#include <fstream>
#include <string>
#include <utility>

#include "video/decode/decoder.h"
#include "video/image/jpeg.h"
#include "video/image/picture_file.h"
#include "video/image/picture_header.h"
#include "video/pixels/bicubic_resize.h"
#include "video/pixels/orientation.h"
#include "video/pixels/rgb_converter.h"
#include "video/pixels/rgb_pixels.h"
#include "video/worker/decoder_process.h"

namespace streamo::video {
namespace fs = std::filesystem;
namespace {

using core::Fault;
using core::Result;

constexpr double kPictureSeconds = 60;  // as SampleOptions::time_limit
// Of a picture file: three bytes a pixel for more pixels than most cameras have. Videos have no
// such limit, only their first picture is read.
constexpr uint64_t kMaxPictureBytes = uint64_t{256} << 20;
// What tells the size of a JPEG picture stands in front, behind a thumbnail perhaps.
constexpr size_t kHeadBytes = 256 << 10;

struct File {
  PictureFile file;
  PictureFormat format;
};

std::optional<Fault> check_size(const fs::path& path, FrameSize size) {
  if (size.height > 0 && size.width > 0 && int64_t{size.height} * size.width <= kMaxPicturePixels) {
    return std::nullopt;
  }
  return file_fault(path, fmt::format("a picture of {}x{} pixels cannot be used (1 to {} in all)",
                                      size.width, size.height, kMaxPicturePixels));
}

Result<File> open(const fs::path& path) {
  if (auto fault = missing_content(path)) return *std::move(fault);
  Result<PictureFile> file = PictureFile::open(path);
  if (!file) return file.fault();
  const PictureFormat format = picture_format(file->part(0, 16));
  if (format != PictureFormat::kOther && file->size() > kMaxPictureBytes) {
    return file_fault(path, fmt::format("a picture file of {} bytes cannot be used (at most {})",
                                        file->size(), kMaxPictureBytes));
  }
  return File{*std::move(file), format};
}

Result<FrameSize> size_of_jpeg(const PictureFile& file) {
  Result<FrameSize> size = jpeg_size(file.part(0, kHeadBytes));
  if (size || file.size() <= kHeadBytes) return size;
  return jpeg_size(file.part(0, kMaxPictureBytes));
}

// What can be told of the size before anything is decoded (FFmpeg allocates what a header asks
// for), as coded; checked.
Result<std::optional<FrameSize>> size_in_header(const fs::path& path, const File& file) {
  std::optional<FrameSize> size;
  if (file.format == PictureFormat::kPng) size = png_size(file.file);
  if (file.format == PictureFormat::kJpeg) {
    const Result<FrameSize> told = size_of_jpeg(file.file);
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
  Orientation orientation;
};

Result<Decoded> decode_by_ffmpeg(const std::shared_ptr<FileWatch>& watch, const File& file) {
  const fs::path& path = watch->path;
  const PictureFormat format = file.format;
  if (format == PictureFormat::kTiff && is_jpeg_in_tiff(file.file)) {
    return file_fault(path, "TIFF compressed as JPEG cannot be read; convert it to JPEG or PNG");
  }
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
  const Orientation orientation = format == PictureFormat::kOther
                                      ? display_orientation(stream)
                                      : exif_orientation(file.file, format);
  if (has_rgb_values(*frame)) return Decoded{{size, to_rgb(*frame)}, orientation};
  std::vector<uint8_t> rgb = RgbConverter(Orientation{}).convert(*frame);
  if (rgb.empty()) return file_fault(path, "FFmpeg cannot convert its colours to RGB");
  lay_on_white(*frame, rgb);
  return Decoded{{size, std::move(rgb)}, orientation};
}

Result<Decoded> decode_watched(const std::shared_ptr<FileWatch>& watch) {
  const fs::path& path = watch->path;
  const Result<File> file = open(path);
  if (!file) return file.fault();
  const Result<std::optional<FrameSize>> size = size_in_header(path, *file);
  if (!size) return size.fault();
  if (file->format != PictureFormat::kJpeg) return decode_by_ffmpeg(watch, *file);
  const std::string bytes = file->file.part(0, kMaxPictureBytes);
  Result<std::vector<uint8_t>> rgb = decode_jpeg(bytes, [&] { return watch->limit.expired(); });
  if (!rgb) return file_fault(path, rgb.reason());
  return Decoded{{**size, *std::move(rgb)}, exif_orientation(file->file, file->format)};
}

Result<FrameSize> size_watched(const std::shared_ptr<FileWatch>& watch) {
  const Result<File> file = open(watch->path);
  if (!file) return file.fault();
  const Result<std::optional<FrameSize>> size = size_in_header(watch->path, *file);
  if (!size) return size.fault();
  if (*size) return exif_orientation(file->file, file->format).displayed(**size);
  const Result<Decoded> decoded = decode_by_ffmpeg(watch, *file);
  if (!decoded) return decoded.fault();
  return decoded->orientation.displayed(decoded->picture.size);
}

Picture turned(Decoded decoded) {
  if (decoded.orientation == Orientation{}) return std::move(decoded.picture);
  const Picture& coded = decoded.picture;
  Picture shown{decoded.orientation.displayed(coded.size), std::vector<uint8_t>(coded.rgb.size())};
  copy_oriented(coded.rgb.data(), ptrdiff_t{coded.size.width} * 3, decoded.orientation, shown.size,
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
  if (is_decoded_elsewhere(path)) {
    const Result<Frame> found = picture_elsewhere(DecoderRequest::Kind::kPictureSize, path,
                                                  {.time_limit = kPictureSeconds});
    if (!found) return found.fault();
    return found->size;
  }
  const auto watch = std::make_shared<FileWatch>(path, kPictureSeconds);
  return run_watched<FrameSize>(watch, [watch] { return size_watched(watch); });
}

Result<Picture> read_picture(const fs::path& path, const std::optional<PixelLimits>& limits) {
  if (is_decoded_elsewhere(path)) {
    Result<Frame> found =
        picture_elsewhere(DecoderRequest::Kind::kPicture, path,
                          {.pixel_limits = limits, .time_limit = kPictureSeconds});
    if (!found) return found.fault();
    return Picture{found->size, std::move(found->rgb)};
  }
  const auto watch = std::make_shared<FileWatch>(path, kPictureSeconds);
  Result<Decoded> decoded = run_watched<Decoded>(watch, [watch] { return decode_watched(watch); });
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
