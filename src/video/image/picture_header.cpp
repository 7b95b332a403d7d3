// Reads size and orientation from image headers.
#include "video/image/picture_header.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace streamo::video {
namespace {

using namespace std::string_view_literals;

constexpr int kMaxParts = 1 << 20;  // segments or chunks that are looked through for Exif data
constexpr size_t kMaxExifBytes = 1 << 20;  // as a JPEG file has it, it fits into 65,533

// Numbers in a file; 0 behind its end.
class Numbers {
 public:
  Numbers(const PictureFile& file, bool big_endian) : file_(file), big_endian_(big_endian) {}

  uint32_t at(uint64_t offset, size_t size) const {
    const std::string bytes = file_.part(offset, size);
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      const size_t byte = big_endian_ ? i : size - 1 - i;
      value = value << 8 | (byte < bytes.size() ? static_cast<uint8_t>(bytes[byte]) : 0U);
    }
    return value;
  }

 private:
  const PictureFile& file_;
  bool big_endian_;
};

// The number under a tag in the first directory of a TIFF block, which Exif data are; 0 for none.
uint32_t tiff_number(const PictureFile& tiff, uint32_t tag) {
  constexpr uint32_t kShort = 3, kLong = 4;
  constexpr size_t kEntryBytes = 12;
  const std::string mark = tiff.part(0, 4);
  if (mark != "II*\0"sv && mark != "MM\0*"sv) return 0;
  const Numbers numbers(tiff, mark[0] == 'M');
  const uint64_t directory = numbers.at(4, 4);
  const uint32_t entries = numbers.at(directory, 2);
  for (uint32_t i = 0; i < entries; ++i) {
    const uint64_t entry = directory + 2 + i * kEntryBytes;
    if (entry + kEntryBytes > tiff.size()) return 0;
    if (numbers.at(entry, 2) != tag) continue;
    const uint32_t type = numbers.at(entry + 2, 2);
    if (type != kShort && type != kLong) return 0;
    return numbers.at(entry + 8, type == kShort ? 2 : 4);
  }
  return 0;
}

std::string exif_bytes(const PictureFile& file, uint64_t offset, uint64_t size) {
  return file.part(offset, static_cast<size_t>(std::min<uint64_t>(size, kMaxExifBytes)));
}

// The Exif data of an APP1 segment before the first scan (ITU-T T.81, B.1.1).
std::string exif_of_jpeg(const PictureFile& file) {
  constexpr uint32_t kApp1 = 0xFFE1, kStartOfScan = 0xFFDA;
  constexpr std::string_view kName = "Exif\0\0"sv;
  const Numbers numbers(file, true);
  uint64_t at = 2;
  for (int i = 0; i < kMaxParts && at + 4 <= file.size(); ++i) {
    const uint32_t marker = numbers.at(at, 2);
    if (marker == 0xFFFF) {  // a fill byte
      ++at;
      continue;
    }
    if (marker < 0xFF00 || marker == kStartOfScan) break;
    const uint64_t size = numbers.at(at + 2, 2);  // with its own two bytes
    if (marker == kApp1 && size >= 2 + kName.size() && file.part(at + 4, kName.size()) == kName) {
      return exif_bytes(file, at + 4 + kName.size(), size - 2 - kName.size());
    }
    at += 2 + size;
  }
  return {};
}

// Chunks of PNG: size, name, content, checksum; of WebP (RIFF): name, size, content, padded to
// even.
std::string exif_of_png(const PictureFile& file) {
  const Numbers numbers(file, true);
  uint64_t at = 8;
  for (int i = 0; i < kMaxParts && at + 12 <= file.size(); ++i) {
    const uint64_t size = numbers.at(at, 4);
    const std::string name = file.part(at + 4, 4);
    if (name == "eXIf") return exif_bytes(file, at + 8, size);
    if (name == "IEND") break;
    at += size + 12;
  }
  return {};
}

std::string exif_of_webp(const PictureFile& file) {
  const Numbers numbers(file, false);
  uint64_t at = 12;
  for (int i = 0; i < kMaxParts && at + 8 <= file.size(); ++i) {
    const uint64_t size = numbers.at(at + 4, 4);
    if (file.part(at, 4) == "EXIF") return exif_bytes(file, at + 8, size);
    at += 8 + size + size % 2;
  }
  return {};
}

// 0 for none.
uint32_t exif_number(const PictureFile& file, PictureFormat format, uint32_t tag) {
  if (format == PictureFormat::kTiff) return tiff_number(file, tag);
  const std::string exif = format == PictureFormat::kJpeg   ? exif_of_jpeg(file)
                           : format == PictureFormat::kPng  ? exif_of_png(file)
                           : format == PictureFormat::kWebp ? exif_of_webp(file)
                                                            : "";
  return tiff_number(PictureFile(exif), tag);
}

}  // namespace

PictureFormat picture_format(std::string_view bytes) {
  if (bytes.starts_with("\xFF\xD8\xFF"sv)) return PictureFormat::kJpeg;
  if (bytes.starts_with("\x89PNG\r\n\x1A\n"sv)) return PictureFormat::kPng;
  if (bytes.starts_with("RIFF"sv) && bytes.substr(0, 12).ends_with("WEBP"))
    return PictureFormat::kWebp;
  if (bytes.starts_with("BM"sv)) return PictureFormat::kBmp;
  if (bytes.starts_with("II*\0"sv) || bytes.starts_with("MM\0*"sv)) return PictureFormat::kTiff;
  return PictureFormat::kOther;
}

std::optional<FrameSize> png_size(const PictureFile& file) {
  constexpr uint64_t kWidth = 16, kHeight = 20, kEnd = 24;
  constexpr uint32_t kMax = 0x7FFFFFFF;
  if (file.size() < kEnd) return std::nullopt;
  const Numbers header(file, true);
  return FrameSize{static_cast<int>(header.at(kHeight, 4) & kMax),
                   static_cast<int>(header.at(kWidth, 4) & kMax)};
}

bool is_jpeg_in_tiff(const PictureFile& file) {
  constexpr uint32_t kCompression = 0x0103, kOldJpeg = 6, kJpeg = 7;
  const uint32_t compression = tiff_number(file, kCompression);
  return compression == kOldJpeg || compression == kJpeg;
}

Orientation exif_orientation(const PictureFile& file, PictureFormat format) {
  // Where row 0 and column 0 of the picture belong on the screen, by number: 1 top left, 2 top
  // right, 3 bottom right, 4 bottom left, 5 to 8 the same with rows and columns swapped.
  static constexpr std::array<Orientation, 9> kByExif = {{{},
                                                          {},
                                                          {false, true, false},
                                                          {false, true, true},
                                                          {false, false, true},
                                                          {true, false, false},
                                                          {true, true, false},
                                                          {true, true, true},
                                                          {true, false, true}}};
  constexpr uint32_t kOrientation = 0x0112;
  const uint32_t orientation = exif_number(file, format, kOrientation);
  return orientation < kByExif.size() ? kByExif[orientation] : Orientation{};
}

}  // namespace streamo::video
