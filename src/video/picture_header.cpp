#include "picture_header.h"

#include <array>
#include <cstdint>

namespace streamo::video {
namespace {

using namespace std::string_view_literals;

// Numbers in a file; 0 behind its end.
class Bytes {
 public:
  Bytes(std::string_view bytes, bool big_endian) : bytes_(bytes), big_endian_(big_endian) {}

  uint32_t number(size_t offset, size_t size) const {
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      const size_t at = offset + (big_endian_ ? i : size - 1 - i);
      value = value << 8 | (at < bytes_.size() ? static_cast<uint8_t>(bytes_[at]) : 0U);
    }
    return value;
  }

 private:
  std::string_view bytes_;
  bool big_endian_;
};

// The number under a tag in the first directory of a TIFF block, which Exif data are; 0 for none.
uint32_t tiff_number(std::string_view tiff, uint32_t tag) {
  constexpr uint32_t kShort = 3, kLong = 4;
  constexpr size_t kEntryBytes = 12;
  if (!tiff.starts_with("II*\0"sv) && !tiff.starts_with("MM\0*"sv)) return 0;
  const Bytes bytes(tiff, tiff[0] == 'M');
  const size_t directory = bytes.number(4, 4);
  const uint32_t entries = bytes.number(directory, 2);
  for (uint32_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + i * kEntryBytes;
    if (entry + kEntryBytes > tiff.size()) return 0;
    if (bytes.number(entry, 2) != tag) continue;
    const uint32_t type = bytes.number(entry + 2, 2);
    if (type != kShort && type != kLong) return 0;
    return bytes.number(entry + 8, type == kShort ? 2 : 4);
  }
  return 0;
}

std::string_view part(std::string_view bytes, size_t offset, size_t size) {
  return offset < bytes.size() ? bytes.substr(offset, size) : std::string_view();
}

// The Exif data of an APP1 segment before the first scan (ITU-T T.81, B.1.1).
std::string_view exif_of_jpeg(std::string_view file) {
  constexpr uint32_t kApp1 = 0xFFE1, kStartOfScan = 0xFFDA;
  constexpr std::string_view kName = "Exif\0\0"sv;
  const Bytes bytes(file, true);
  for (size_t at = 2; at + 4 <= file.size();) {
    const uint32_t marker = bytes.number(at, 2);
    if (marker == 0xFFFF) {  // a fill byte
      ++at;
      continue;
    }
    if (marker < 0xFF00 || marker == kStartOfScan) break;
    const size_t size = bytes.number(at + 2, 2);  // with its own two bytes
    const std::string_view content = part(file, at + 4, size < 2 ? 0 : size - 2);
    if (marker == kApp1 && content.starts_with(kName)) return content.substr(kName.size());
    at += 2 + size;
  }
  return {};
}

// Chunks of PNG: size, name, content, checksum; of WebP (RIFF): name, size, content, padded to
// even.
std::string_view exif_of_png(std::string_view file) {
  const Bytes bytes(file, true);
  for (size_t at = 8; at + 12 <= file.size();) {
    const size_t size = bytes.number(at, 4);
    if (part(file, at + 4, 4) == "eXIf") return part(file, at + 8, size);
    at += size + 12;
  }
  return {};
}

std::string_view exif_of_webp(std::string_view file) {
  const Bytes bytes(file, false);
  for (size_t at = 12; at + 8 <= file.size();) {
    const size_t size = bytes.number(at + 4, 4);
    if (part(file, at, 4) == "EXIF") return part(file, at + 8, size);
    at += 8 + size + size % 2;
  }
  return {};
}

std::string_view exif_of(std::string_view file, PictureFormat format) {
  switch (format) {
    case PictureFormat::kJpeg:
      return exif_of_jpeg(file);
    case PictureFormat::kPng:
      return exif_of_png(file);
    case PictureFormat::kWebp:
      return exif_of_webp(file);
    case PictureFormat::kTiff:
      return file;
    case PictureFormat::kBmp:
    case PictureFormat::kOther:
      break;
  }
  return {};
}

}  // namespace

PictureFormat picture_format(std::string_view bytes) {
  if (bytes.starts_with("\xFF\xD8\xFF"sv)) return PictureFormat::kJpeg;
  if (bytes.starts_with("\x89PNG\r\n\x1A\n"sv)) return PictureFormat::kPng;
  if (bytes.starts_with("RIFF"sv) && part(bytes, 8, 4) == "WEBP") return PictureFormat::kWebp;
  if (bytes.starts_with("BM"sv)) return PictureFormat::kBmp;
  if (bytes.starts_with("II*\0"sv) || bytes.starts_with("MM\0*"sv)) return PictureFormat::kTiff;
  return PictureFormat::kOther;
}

std::optional<FrameSize> png_size(std::string_view bytes) {
  constexpr size_t kWidth = 16, kHeight = 20, kEnd = 24;
  constexpr uint32_t kMax = 0x7FFFFFFF;
  if (bytes.size() < kEnd) return std::nullopt;
  const Bytes header(bytes, true);
  return FrameSize{static_cast<int>(header.number(kHeight, 4) & kMax),
                   static_cast<int>(header.number(kWidth, 4) & kMax)};
}

bool is_jpeg_in_tiff(std::string_view bytes) {
  constexpr uint32_t kCompression = 0x0103, kOldJpeg = 6, kJpeg = 7;
  const uint32_t compression = tiff_number(bytes, kCompression);
  return compression == kOldJpeg || compression == kJpeg;
}

Turn exif_turn(std::string_view bytes, PictureFormat format) {
  // Where row 0 and column 0 of the picture belong on the screen, by number: 1 top left, 2 top
  // right, 3 bottom right, 4 bottom left, 5 to 8 the same with rows and columns swapped.
  static constexpr std::array<Turn, 9> kTurns = {{{},
                                                  {},
                                                  {false, true, false},
                                                  {false, true, true},
                                                  {false, false, true},
                                                  {true, false, false},
                                                  {true, true, false},
                                                  {true, true, true},
                                                  {true, false, true}}};
  constexpr uint32_t kOrientation = 0x0112;
  const uint32_t orientation = tiff_number(exif_of(bytes, format), kOrientation);
  return orientation < kTurns.size() ? kTurns[orientation] : Turn{};
}

}  // namespace streamo::video
