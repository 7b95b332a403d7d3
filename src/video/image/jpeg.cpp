// Reads and writes JPEG in memory with libjpeg-turbo.
#include "video/image/jpeg.h"

#include <fmt/format.h>

#include <array>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>

extern "C" {
#include <jerror.h>
#include <jpeglib.h>
}

namespace streamo::video {
namespace {

// libjpeg reports an error by a call that may not return: it jumps back to where the work was
// begun. Nothing that has a destructor may live between the two.
class Reader {
 public:
  explicit Reader(std::string_view bytes, const std::function<bool()>& give_up = {})
      : bytes_(bytes), give_up_(give_up) {
    info_.err = jpeg_std_error(&errors_);
    errors_.error_exit = [](j_common_ptr info) { std::longjmp(self(info).failed_, 1); };
    errors_.output_message = [](j_common_ptr) {};
    errors_.emit_message = [](j_common_ptr info, int /*level*/) {
      if (info->err->msg_code == JWRN_JPEG_EOF) self(info).cut_off_ = true;
    };
    info_.client_data = this;
    // Called for each row of blocks, of each scan.
    progress_.progress_monitor = [](j_common_ptr info) {
      Reader& reader = self(info);
      const bool has_too_many = reader.info_.input_scan_number > kMaxJpegScans;
      if (!has_too_many && !(reader.give_up_ && reader.give_up_())) return;
      reader.refusal_ = has_too_many ? "it has too many scans" : "it took too long";
      std::longjmp(reader.failed_, 1);
    };
  }
  ~Reader() { jpeg_destroy_decompress(&info_); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  bool read_header() {
    if (setjmp(failed_) != 0) return false;
    jpeg_create_decompress(&info_);
    jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(bytes_.data()), bytes_.size());
    jpeg_read_header(&info_, TRUE);
    return true;
  }

  // `pixels`: [height, width, channels()]
  bool read_pixels(uint8_t* pixels) {
    if (setjmp(failed_) != 0) return false;
    info_.out_color_space = channels() == 1 ? JCS_GRAYSCALE : channels() == 3 ? JCS_RGB : JCS_CMYK;
    info_.dct_method = JDCT_ISLOW;
    info_.progress = &progress_;
    jpeg_start_decompress(&info_);
    while (info_.output_scanline < info_.output_height) {
      JSAMPROW row = pixels + size_t{info_.output_scanline} * info_.output_width *
                                  static_cast<size_t>(info_.output_components);
      jpeg_read_scanlines(&info_, &row, 1);
    }
    jpeg_finish_decompress(&info_);
    return true;
  }

  FrameSize size() const {
    return {static_cast<int>(info_.image_height), static_cast<int>(info_.image_width)};
  }
  int channels() const { return info_.num_components; }
  bool cut_off() const { return cut_off_; }
  std::string reason() {
    if (refusal_ != nullptr) return refusal_;
    std::array<char, JMSG_LENGTH_MAX> message{};
    errors_.format_message(reinterpret_cast<j_common_ptr>(&info_), message.data());
    return message.data();
  }

 private:
  static Reader& self(j_common_ptr info) { return *static_cast<Reader*>(info->client_data); }

  std::string_view bytes_;
  jpeg_decompress_struct info_{};
  jpeg_error_mgr errors_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf failed_{};
  const std::function<bool()> give_up_;
  const char* refusal_ = nullptr;  // ours; none: the library's
  bool cut_off_ = false;           // before the end marker
};

class Writer {
 public:
  Writer() {
    info_.err = jpeg_std_error(&errors_);
    errors_.error_exit = [](j_common_ptr info) {
      std::longjmp(static_cast<Writer*>(info->client_data)->failed_, 1);
    };
    info_.client_data = this;
  }
  ~Writer() {
    jpeg_destroy_compress(&info_);
    std::free(bytes_);  // NOLINT: libjpeg allocates it
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // `rgb`: [height, width, 3]
  bool write(const uint8_t* rgb, FrameSize size, int quality) {
    if (setjmp(failed_) != 0) return false;
    jpeg_create_compress(&info_);
    jpeg_mem_dest(&info_, &bytes_, &size_);
    info_.image_height = static_cast<JDIMENSION>(size.height);
    info_.image_width = static_cast<JDIMENSION>(size.width);
    info_.input_components = 3;
    info_.in_color_space = JCS_RGB;
    jpeg_set_defaults(&info_);
    jpeg_set_quality(&info_, quality, TRUE);
    for (int i = 0; i < 3; ++i)
      info_.comp_info[i].h_samp_factor = info_.comp_info[i].v_samp_factor = 1;
    info_.dct_method = JDCT_ISLOW;
    jpeg_start_compress(&info_, TRUE);
    while (info_.next_scanline < info_.image_height) {
      // The library reads the row only; its type lacks the const.
      JSAMPROW row =
          const_cast<JSAMPROW>(rgb) + size_t{info_.next_scanline} * info_.image_width * 3;
      jpeg_write_scanlines(&info_, &row, 1);
    }
    jpeg_finish_compress(&info_);
    return true;
  }

  std::string bytes() const { return {reinterpret_cast<const char*>(bytes_), size_}; }

 private:
  jpeg_compress_struct info_{};
  jpeg_error_mgr errors_{};
  std::jmp_buf failed_{};
  unsigned char* bytes_ = nullptr;
  unsigned long size_ = 0;  // NOLINT: libjpeg's type
};

core::Fault jpeg_fault(const std::string& reason) {
  return {fmt::format("not a readable JPEG picture ({})", reason)};
}

std::vector<uint8_t> grey_to_rgb(const std::vector<uint8_t>& grey) {
  std::vector<uint8_t> rgb;
  rgb.reserve(grey.size() * 3);
  for (const uint8_t value : grey) rgb.insert(rgb.end(), 3, value);
  return rgb;
}

// `ink` holds 255 minus cyan, magenta, yellow and black. Each colour is what black and ink leave of
// white: white - k - ink (white - k) / white, the quotient rounded.
std::vector<uint8_t> inverted_cmyk_to_rgb(const std::vector<uint8_t>& ink) {
  std::vector<uint8_t> rgb;
  rgb.reserve(ink.size() / 4 * 3);
  for (size_t i = 0; i < ink.size(); i += 4) {
    const int light = ink[i + 3];
    for (size_t channel = 0; channel < 3; ++channel) {
      const int product = (255 - ink[i + channel]) * light + 128;
      rgb.push_back(static_cast<uint8_t>(light - (((product >> 8) + product) >> 8)));
    }
  }
  return rgb;
}

}  // namespace

core::Result<FrameSize> jpeg_size(std::string_view bytes) {
  Reader reader(bytes);
  if (!reader.read_header()) return jpeg_fault(reader.reason());
  return reader.size();
}

core::Result<std::vector<uint8_t>> decode_jpeg(std::string_view bytes,
                                               const std::function<bool()>& give_up) {
  Reader reader(bytes, give_up);
  if (!reader.read_header()) return jpeg_fault(reader.reason());
  const int channels = reader.channels();
  if (channels != 1 && channels != 3 && channels != 4) {
    return jpeg_fault(fmt::format("it has {} channels", channels));
  }
  const FrameSize size = reader.size();
  std::vector<uint8_t> pixels(static_cast<size_t>(size.height) * static_cast<size_t>(size.width) *
                              static_cast<size_t>(channels));
  if (!reader.read_pixels(pixels.data())) return jpeg_fault(reader.reason());
  if (reader.cut_off()) return jpeg_fault("it was cut off");
  if (channels == 1) return grey_to_rgb(pixels);
  if (channels == 4) return inverted_cmyk_to_rgb(pixels);
  return pixels;
}

core::Result<std::string> encode_jpeg(std::span<const uint8_t> rgb, FrameSize size, int quality) {
  Writer writer;
  if (!writer.write(rgb.data(), size, quality)) {
    return core::Fault{
        fmt::format("pictures of {}x{} pixels cannot be JPEG", size.width, size.height)};
  }
  return writer.bytes();
}

}  // namespace streamo::video
