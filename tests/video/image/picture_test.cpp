// Picture files. Truth: what Pillow reads from the files of tests/golden/pictures, stored beside
// each (written by tests/oracle/pictures_oracle.py --golden); for lossless formats the pixels that
// the ffmpeg program was given; for turned ones the meaning of the Exif numbers, worked out here.
#include "video/image/picture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "core/rng.h"
#include "support/numbered_clip.h"
#include "video/image/jpeg.h"
#include "video/image/png.h"
#include "video/pixels/bicubic_resize.h"

namespace streamo::video {
namespace {
namespace fs = std::filesystem;
using namespace std::string_literals;
using testing::HasSubstr;

const fs::path kGolden = fs::path(STREAMO_SOURCE_DIR) / "tests/golden/pictures";

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class PictureTest : public testing::Test {
 protected:
  PictureTest() {
    folder_ = fs::path(testing::TempDir()) / fmt::format("streamo-picture-{}", ::getpid());
    fs::create_directories(folder_);
  }
  ~PictureTest() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, const std::string& content) {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return folder_ / name;
  }

  // The picture in another format, by the ffmpeg program.
  fs::path convert(const fs::path& png, const std::string& name, const std::string& options) {
    test::run_or_throw(fmt::format("ffmpeg -v error -y -i {} {} {}", png.string(), options,
                                   (folder_ / name).string()));
    return folder_ / name;
  }

  fs::path folder_;
};

Picture read_or_fail(const fs::path& path, const std::optional<PixelLimits>& limits = {}) {
  auto picture = read_picture(path, limits);
  EXPECT_TRUE(picture) << picture.reason();
  return picture ? *std::move(picture) : Picture{};
}

std::string reason_of(const fs::path& path, const std::optional<PixelLimits>& limits = {}) {
  const auto picture = read_picture(path, limits);
  return picture ? "no fault" : picture.reason();
}

std::vector<uint8_t> some_pixels(FrameSize size) {
  std::vector<uint8_t> rgb(static_cast<size_t>(size.height * size.width * 3));
  for (size_t i = 0; i < rgb.size(); ++i) rgb[i] = static_cast<uint8_t>(i * 2654435761U >> 13);
  return rgb;
}

TEST_F(PictureTest, HavePillowsPixels) {
  int pictures = 0;
  for (const auto& entry : fs::directory_iterator(kGolden)) {
    const fs::path expected = entry.path().string() + ".png";
    if (!fs::exists(expected)) continue;
    SCOPED_TRACE(entry.path().filename());
    const Picture picture = read_or_fail(entry.path());
    const Picture truth = read_or_fail(expected);
    EXPECT_EQ(picture.size, truth.size);
    EXPECT_EQ(picture.rgb, truth.rgb);
    EXPECT_EQ(*picture_size(entry.path()), truth.size);
    ++pictures;
  }
  EXPECT_EQ(pictures, 10);
}

TEST_F(PictureTest, OfLosslessFormatsAreWhatWasStored) {
  const FrameSize size{13, 22};
  const std::vector<uint8_t> rgb = some_pixels(size);
  const fs::path png = folder_ / "a.png";
  write_png(png, size, rgb);
  EXPECT_EQ(read_or_fail(png).rgb, rgb);
  struct Case {
    const char *name, *options;
  };
  for (const Case& c : {Case{"a.bmp", ""}, Case{"a.tif", "-pix_fmt rgb24 -compression_algo lzw"},
                        Case{"c.png", "-pix_fmt rgba"}, Case{"a.tga", ""}, Case{"a.ppm", ""}}) {
    SCOPED_TRACE(c.name);
    const Picture picture = read_or_fail(convert(png, c.name, c.options));
    EXPECT_EQ(picture.size, size);
    EXPECT_EQ(picture.rgb, rgb);
  }
  // A palette holds four colours, and what GIF keeps of the picture is exact.
  const std::vector<uint8_t> four = {10, 20, 30, 200, 0, 7, 255, 255, 255, 1, 99, 180};
  write_png(folder_ / "four.png", {2, 2}, four);
  const fs::path gif =
      convert(folder_ / "four.png", "four.gif",
              "-filter_complex 'split[a][b],[a]palettegen=reserve_transparent=0[p],"
              "[b][p]paletteuse=dither=none'");
  EXPECT_EQ(read_or_fail(gif).rgb, four);
}

TEST_F(PictureTest, AreResizedExactly) {
  const fs::path path = folder_ / "a.png";
  const FrameSize size{201, 333};
  write_png(path, size, some_pixels(size));
  const PixelLimits limits;
  const Picture picture = read_or_fail(path, limits);
  EXPECT_EQ(picture.size, smart_resize(size, limits));
  EXPECT_EQ(picture.rgb, resize_bicubic(some_pixels(size), size, picture.size));
}

// A JPEG file with Exif data of one entry, the orientation.
std::string with_orientation(const std::string& jpeg, int orientation, bool big_endian) {
  const std::string number(1, static_cast<char>(orientation));
  const std::string tiff =
      big_endian ? "MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"s + number + "\0\0\0\0\0\0"s
                 : "II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"s + number + "\0\0\0\0\0\0\0"s;
  const std::string segment = "Exif\0\0"s + tiff;
  return jpeg.substr(0, 2) + "\xFF\xE1\0"s + static_cast<char>(segment.size() + 2) + segment +
         jpeg.substr(2);
}

TEST_F(PictureTest, AreTurnedAsTheirExifDataAsk) {
  const std::string jpeg = content_of(kGolden / "halved-colour.jpg");
  const Picture plain = read_or_fail(kGolden / "halved-colour.jpg");
  const auto [height, width] = plain.size;
  for (int number = 1; number <= 8; ++number) {
    SCOPED_TRACE(number);
    const fs::path path = write("turned.jpg", with_orientation(jpeg, number, number % 2 == 0));
    const Picture turned = read_or_fail(path);
    const bool swapped = number >= 5;
    ASSERT_EQ(turned.size, swapped ? (FrameSize{width, height}) : plain.size);
    EXPECT_EQ(*picture_size(path), turned.size);
    // Which side of the screen the stored row 0 is on, and which the stored column 0.
    const bool row_at_end = number == 3 || number == 4 || number == 6 || number == 7;
    const bool column_at_end = number == 2 || number == 3 || number == 7 || number == 8;
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        const int across = column_at_end ? width - 1 - x : x;
        const int down = row_at_end ? height - 1 - y : y;
        const int shown = swapped ? across * height + down : down * width + across;
        ASSERT_EQ(turned.rgb[static_cast<size_t>(shown) * 3],
                  plain.rgb[static_cast<size_t>(y * width + x) * 3]);
      }
    }
  }
}

TEST_F(PictureTest, AreToldFromVideosByTheirFirstBytes) {
  EXPECT_TRUE(is_picture_file(kGolden / "cmyk.jpg"));
  EXPECT_TRUE(is_picture_file(kGolden / "key.png"));
  EXPECT_FALSE(is_picture_file(test::make_clip(folder_ / "a.jpg.mp4", {.frames = 2})));
  EXPECT_FALSE(is_picture_file(folder_ / "missing.png"));
}

TEST_F(PictureTest, OfAVideoIsItsFirst) {
  const fs::path clip = test::make_clip(folder_ / "a.mp4", {.frames = 3});
  const Picture picture = read_or_fail(clip);
  EXPECT_EQ(test::read_number(picture.size, picture.rgb), 0);
}

TEST_F(PictureTest, FaultsNameTheFileAndWhatIsWrongWithIt) {
  EXPECT_THAT(reason_of(folder_ / "none.jpg"), HasSubstr("none.jpg: No such file"));
  EXPECT_THAT(reason_of(folder_), HasSubstr("a folder"));
  EXPECT_THAT(reason_of(write("empty.png", "")), HasSubstr("empty.png: the file is empty"));
  EXPECT_THAT(reason_of(write("text.jpg", "no picture\n")), HasSubstr("text.jpg: "));
  for (const char* name : {"halved-colour.jpg", "progressive.jpg", "alpha.png"}) {
    const std::string whole = content_of(kGolden / name);
    for (size_t bytes : {size_t{12}, size_t{30}, whole.size() / 2, whole.size() - 20}) {
      EXPECT_THAT(reason_of(write(name, whole.substr(0, bytes))), HasSubstr(name));
    }
  }
  EXPECT_THAT(reason_of(write("cut.jpg", content_of(kGolden / "grey.jpg").substr(0, 400))),
              HasSubstr("cut.jpg: not a readable JPEG picture (it was cut off)"));
  std::string flipped = content_of(kGolden / "alpha.png");
  flipped[60] ^= 1;
  EXPECT_THAT(reason_of(write("flipped.png", flipped)), HasSubstr("flipped.png: "));
  write_png(folder_ / "thin.png", {1, 201}, std::vector<uint8_t>(201 * 3));
  EXPECT_THAT(reason_of(folder_ / "thin.png", PixelLimits{}), HasSubstr("thin.png: a picture of"));
}

TEST_F(PictureTest, BombsAreRefusedByTheirHeaders) {
  std::string png = content_of(kGolden / "alpha.png");
  png.replace(16, 8, "\0\x01\0\0\0\x01\0\0"s);  // 65536 x 65536
  EXPECT_THAT(reason_of(write("bomb.png", png)),
              HasSubstr("bomb.png: a picture of 65536x65536 pixels cannot be used"));
  std::string jpeg = content_of(kGolden / "grey.jpg");
  const size_t frame = jpeg.find("\xFF\xC0"s);
  jpeg.replace(frame + 5, 4, "\xFF\xDC\xFF\xDC"s);
  EXPECT_THAT(reason_of(write("bomb.jpg", jpeg)),
              HasSubstr("bomb.jpg: a picture of 65500x65500 pixels cannot be used"));
  EXPECT_FALSE(picture_size(folder_ / "bomb.jpg"));
}

// Each scan goes over the whole picture, and may be a few bytes.
TEST_F(PictureTest, JpegsOfEndlessScansAreRefused) {
  const std::string jpeg = content_of(kGolden / "progressive.jpg");
  const size_t last = jpeg.rfind("\xFF\xDA"s), end = jpeg.size() - 2;
  std::string bomb = jpeg.substr(0, end);
  for (int i = 0; i < kMaxJpegScans; ++i) bomb += jpeg.substr(last, end - last);
  bomb += jpeg.substr(end);
  EXPECT_THAT(reason_of(write("scans.jpg", bomb)), HasSubstr("it has too many scans"));
  EXPECT_TRUE(picture_size(folder_ / "scans.jpg"));
  const auto given_up = decode_jpeg(jpeg, [] { return true; });
  ASSERT_FALSE(given_up);
  EXPECT_THAT(given_up.reason(), HasSubstr("it took too long"));
}

// Bytes that this process has asked the system for.
int64_t bytes_read() {
  std::ifstream io("/proc/self/io");
  std::string name;
  int64_t bytes = -1;
  while (io >> name >> bytes && name != "rchar:") {
  }
  return bytes;
}

TEST_F(PictureTest, OnlyTheHeadTellsTheSize) {
  for (const char* name : {"alpha.png", "progressive.jpg"}) {
    const fs::path path = write(name, content_of(kGolden / name));
    const auto size = picture_size(path);
    ASSERT_TRUE(size);
    fs::resize_file(path, 200 << 20);  // sparse
    const int64_t before = bytes_read();
    const auto again = picture_size(path);
    ASSERT_TRUE(again) << again.reason();
    EXPECT_EQ(*again, *size);
    EXPECT_LT(bytes_read() - before, 1 << 20) << name;
    fs::resize_file(path, uintmax_t{20} << 30);
    EXPECT_THAT(reason_of(path), HasSubstr("a picture file of 21474836480 bytes cannot be used"));
    EXPECT_FALSE(picture_size(path));
  }
}

TEST_F(PictureTest, NoDamageIsMoreThanAFault) {
  core::Rng rng({11});
  for (const auto& entry : fs::directory_iterator(kGolden)) {
    const std::string whole = content_of(entry.path());
    for (int round = 0; round < 40; ++round) {
      std::string bytes = whole;
      for (int64_t change = rng.integer(1, 8); change > 0; --change) {
        const int64_t reach = rng.integer(0, 1) == 0 ? 64 : static_cast<int64_t>(bytes.size());
        const int64_t last = std::min(reach, static_cast<int64_t>(bytes.size())) - 1;
        bytes[static_cast<size_t>(rng.integer(0, last))] = static_cast<char>(rng.integer(0, 255));
      }
      const fs::path path = write("damaged" + entry.path().extension().string(), bytes);
      const auto size = picture_size(path);
      const auto picture = read_picture(path, std::nullopt);
      if (size && picture) EXPECT_EQ(picture->size, *size) << entry.path() << " " << round;
    }
  }
}

TEST_F(PictureTest, InJpegCompressedTiffAreRefused) {  // FFmpeg would give a black one
  const std::string header = "II*\0\x08\0\0\0\x01\0\x03\x01\x03\0\x01\0\0\0\x07\0\0\0\0\0\0\0"s;
  EXPECT_THAT(reason_of(write("jpeg.tif", header)), HasSubstr("TIFF compressed as JPEG"));
}

}  // namespace
}  // namespace streamo::video
