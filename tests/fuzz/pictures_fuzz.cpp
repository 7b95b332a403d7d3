// Picture files: a picture as large as its head says, or a Fault that names the file.
#include "fuzz/fuzz.h"
#include "video/image/picture.h"
#include "video/image/picture_file.h"
#include "video/image/picture_header.h"

namespace streamo {
namespace {

size_t bytes_of(video::FrameSize size) {
  return static_cast<size_t>(size.height) * static_cast<size_t>(size.width) * 3;
}

}  // namespace

FUZZ_TARGET(pictures, 1500) {
  const video::PictureFormat format = video::picture_format(input);
  const video::PictureFile in_memory(input);
  (void)video::png_size(in_memory);
  (void)video::is_jpeg_in_tiff(in_memory);
  (void)video::exif_orientation(in_memory, format);
  const fuzz::InputFile file(input);
  const std::string path = file.path().string();
  const auto size = video::picture_size(path);
  if (!size) fuzz::require(size.reason().find(path) != std::string::npos);
  if (size && bytes_of(*size) > (64U << 20)) return;  // allowed, and slow
  const auto picture = video::read_picture(path, video::PixelLimits{.max_pixels = 3136});
  if (!picture) return fuzz::require(picture.reason().find(path) != std::string::npos);
  fuzz::require(picture->rgb.size() == bytes_of(picture->size) && !picture->rgb.empty());
}

}  // namespace streamo
