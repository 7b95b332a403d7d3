// FFmpeg's PNG encoder, with a tEXt chunk that marks the file as ours.
#include "video/image/png.h"

extern "C" {
#include <libavutil/opt.h>
}

#include <fmt/format.h>

#include <cstring>
#include <string_view>

#include "core/io/file.h"
#include "core/io/output.h"
#include "streamo/core/error.h"
#include "video/ffmpeg/ffmpeg_handles.h"
#include "video/ffmpeg/ffmpeg_log.h"

namespace streamo::video {
namespace {

// Signature and header; behind them a note that says who wrote the file: its length, kind, text and
// checksum.
constexpr size_t kHeadBytes = 33;
constexpr std::string_view kMark("\0\0\0\x10tEXtSoftware\0Streamo\xFC!yI", 28);

void require(int result, const char* action) {
  STREAMO_CHECK(result >= 0, fmt::format("{}: {}", action, ffmpeg_reason(result)));
}

CodecPtr open_encoder(FrameSize size) {
  const AVCodec* codec = avcodec_find_encoder(AV_CODEC_ID_PNG);
  if (codec == nullptr) {
    throw core::Error(core::ErrorKind::kDisk, "this FFmpeg cannot write PNG", "libavcodec",
                      "install an FFmpeg built with zlib");
  }
  CodecPtr encoder(avcodec_alloc_context3(codec));
  if (!encoder) throw std::bad_alloc();
  encoder->width = size.width;
  encoder->height = size.height;
  encoder->pix_fmt = AV_PIX_FMT_RGB24;
  encoder->time_base = {1, 1};
  encoder->thread_count = 1;
  av_opt_set(encoder->priv_data, "pred", "mixed", 0);  // a third smaller than unfiltered rows
  require(avcodec_open2(encoder.get(), codec, nullptr), "opening the PNG encoder");
  return encoder;
}

FramePtr as_frame(FrameSize size, std::span<const uint8_t> rgb) {
  FramePtr frame = make_frame();
  frame->width = size.width;
  frame->height = size.height;
  frame->format = AV_PIX_FMT_RGB24;
  require(av_frame_get_buffer(frame.get(), 0), "allocating a picture");
  const size_t row_bytes = static_cast<size_t>(size.width) * 3;
  for (int y = 0; y < size.height; ++y) {
    std::memcpy(frame->data[0] + static_cast<ptrdiff_t>(y) * frame->linesize[0],
                rgb.data() + static_cast<size_t>(y) * row_bytes, row_bytes);
  }
  return frame;
}

}  // namespace

core::IsOurs is_our_png() {
  return core::holds_mark(std::string(kMark));
}

void write_png(const std::filesystem::path& path, FrameSize size, std::span<const uint8_t> rgb) {
  STREAMO_CHECK(
      rgb.size() == static_cast<size_t>(size.height) * static_cast<size_t>(size.width) * 3,
      "the pixels do not match the size");
  FfmpegLog log(path.string());
  const FfmpegLog::Scope scope(log);
  const CodecPtr encoder = open_encoder(size);
  require(avcodec_send_frame(encoder.get(), as_frame(size, rgb).get()), "encoding a PNG");
  require(avcodec_send_frame(encoder.get(), nullptr), "ending a PNG");
  const PacketPtr packet = make_packet();
  require(avcodec_receive_packet(encoder.get(), packet.get()), "encoding a PNG");
  std::string png(reinterpret_cast<const char*>(packet->data), static_cast<size_t>(packet->size));
  core::write_file_atomic(core::output_file(path, {}, is_our_png()), png.insert(kHeadBytes, kMark));
}

}  // namespace streamo::video
