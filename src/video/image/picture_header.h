// What a picture file says about itself before anything is decoded.
#pragma once

#include <optional>
#include <string_view>

#include "video/image/picture_file.h"
#include "video/pixels/orientation.h"

namespace streamo::video {

// The kinds of picture files that are told apart by how they begin.
enum class PictureFormat { kJpeg, kPng, kWebp, kBmp, kTiff, kOther };

// `bytes`: the file's, its first 16 suffice.
PictureFormat picture_format(std::string_view bytes);

// By the first chunk of a PNG file; nullopt where it is cut off.
std::optional<FrameSize> png_size(const PictureFile& file);

// Whether a TIFF file is compressed as JPEG: FFmpeg makes a black picture of it, without a word.
bool is_jpeg_in_tiff(const PictureFile& file);

// By tag 0x0112 of its Exif data (CIPA DC-008, 4.6.4), wherever in the file they stand. No turn
// where there are none, or where they are damaged.
Orientation exif_orientation(const PictureFile& file, PictureFormat format);

}  // namespace streamo::video
