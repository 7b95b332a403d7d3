// What a picture file says of itself. Truth: headers made by hand from the formats' descriptions
// (PNG, TIFF 6.0, Exif 2.3, RIFF); each is also cut off at every byte.
#include "video/image/picture_header.h"

#include <gtest/gtest.h>

#include <string>

namespace streamo::video {
namespace {

using namespace std::string_literals;

std::string big(uint32_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i) & 255U);
  return text;
}
std::string little(uint32_t value, int bytes) {
  const std::string text = big(value, bytes);
  return {text.rbegin(), text.rend()};
}

// A TIFF block with one entry.
std::string tiff(uint32_t tag, uint32_t value, bool big_endian) {
  const auto n = [&](uint32_t v, int bytes) {
    return big_endian ? big(v, bytes) : little(v, bytes);
  };
  return (big_endian ? "MM\0*"s : "II*\0"s) + n(8, 4) + n(1, 2) + n(tag, 2) + n(3, 2) + n(1, 4) +
         n(value, 2) + n(0, 2) + n(0, 4);
}
std::string jpeg(const std::string& exif) {
  const std::string app0 = "\xFF\xE0"s + big(4, 2) + "JF";
  return "\xFF\xD8"s + app0 + "\xFF\xE1" + big(static_cast<uint32_t>(exif.size()) + 8, 2) +
         "Exif\0\0"s + exif + "\xFF\xDA";
}
std::string png(uint32_t width, uint32_t height, const std::string& exif) {
  return "\x89PNG\r\n\x1A\n"s + big(13, 4) + "IHDR" + big(width, 4) + big(height, 4) +
         std::string(9, '\0') + big(static_cast<uint32_t>(exif.size()), 4) + "eXIf" + exif + "crc.";
}
std::string webp(const std::string& exif) {
  return "RIFF"s + little(0, 4) + "WEBPVP8 " + little(3, 4) + "abc\0"s + "EXIF" +
         little(static_cast<uint32_t>(exif.size()), 4) + exif;
}

constexpr uint32_t kOrientation = 0x0112, kCompression = 0x0103;
constexpr Orientation kQuarter{.transpose = true, .mirror_x = true};  // orientation 6

struct File {
  PictureFormat format;
  std::string bytes;
};
std::vector<File> turned_files(bool big_endian) {
  const std::string exif = tiff(kOrientation, 6, big_endian);
  return {{PictureFormat::kJpeg, jpeg(exif)},
          {PictureFormat::kPng, png(4, 3, exif)},
          {PictureFormat::kWebp, webp(exif)},
          {PictureFormat::kTiff, exif}};
}

TEST(PictureHeader, FormatAndTurnAreReadInBothByteOrders) {
  for (const bool big_endian : {false, true}) {
    for (const auto& [format, bytes] : turned_files(big_endian)) {
      EXPECT_EQ(picture_format(bytes), format);
      EXPECT_EQ(exif_orientation(PictureFile(bytes), format), kQuarter) << static_cast<int>(format);
    }
  }
  EXPECT_EQ(picture_format("BM......"), PictureFormat::kBmp);
  EXPECT_EQ(picture_format("GIF89a"), PictureFormat::kOther);
  EXPECT_EQ(exif_orientation(PictureFile("BM......"), PictureFormat::kBmp), Orientation{});
}

TEST(PictureHeader, EachOrientationIsATurnOfItsOwn) {
  std::vector<Orientation> turns;
  for (uint32_t orientation = 1; orientation <= 8; ++orientation) {
    turns.push_back(
        exif_orientation(PictureFile(tiff(kOrientation, orientation, true)), PictureFormat::kTiff));
    for (size_t i = 0; i + 1 < turns.size(); ++i) EXPECT_FALSE(turns[i] == turns.back());
  }
  EXPECT_EQ(turns[0], Orientation{});
  for (const uint32_t none : {0U, 9U, 0xFFFFU})
    EXPECT_EQ(exif_orientation(PictureFile(tiff(kOrientation, none, false)), PictureFormat::kTiff),
              Orientation{});
}

TEST(PictureHeader, WhatIsCutOffOrPointsOutsideIsNoTurn) {
  for (const auto& [format, bytes] : turned_files(true)) {
    for (size_t size = 0; size < bytes.size(); ++size) {
      const Orientation turn = exif_orientation(PictureFile(bytes.substr(0, size)), format);
      EXPECT_TRUE(turn == Orientation{} || turn == kQuarter) << size;
    }
  }
  std::string outside = tiff(kOrientation, 6, false);
  outside.replace(4, 4, little(0xFFFFFFF0, 4));
  EXPECT_EQ(exif_orientation(PictureFile(outside), PictureFormat::kTiff), Orientation{});
  std::string longer = jpeg(tiff(kOrientation, 6, false));
  longer.replace(4, 2, big(0, 2));  // a segment shorter than its own length
  EXPECT_EQ(exif_orientation(PictureFile(longer), PictureFormat::kJpeg), Orientation{});
}

TEST(PictureHeader, SizesOfPng) {
  EXPECT_EQ(png_size(PictureFile(png(640, 480, ""))), (FrameSize{480, 640}));
  EXPECT_EQ(png_size(PictureFile(png(0xFFFFFFFF, 1, ""))), (FrameSize{1, 0x7FFFFFFF}));
  EXPECT_EQ(png_size(PictureFile(png(640, 480, "").substr(0, 23))), std::nullopt);
  EXPECT_EQ(png_size(PictureFile("")), std::nullopt);
}

TEST(PictureHeader, JpegInTiff) {
  EXPECT_TRUE(is_jpeg_in_tiff(PictureFile(tiff(kCompression, 6, true))));
  EXPECT_TRUE(is_jpeg_in_tiff(PictureFile(tiff(kCompression, 7, false))));
  EXPECT_FALSE(is_jpeg_in_tiff(PictureFile(tiff(kCompression, 5, false))));
  EXPECT_FALSE(is_jpeg_in_tiff(PictureFile("")));
}

}  // namespace
}  // namespace streamo::video
