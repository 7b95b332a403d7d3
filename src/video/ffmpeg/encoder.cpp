// libx264 in MP4 with fixed settings: one thread and bit-exact muxing, so the same frames give the
// same bytes.
#include "video/ffmpeg/encoder.h"

#include <fmt/format.h>
#include <unistd.h>

extern "C" {
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
}

#include <array>
#include <string>
#include <system_error>

#include "core/io/file.h"
#include "streamo/core/error.h"
#include "video/ffmpeg/ffmpeg_handles.h"
#include "video/ffmpeg/ffmpeg_log.h"

namespace streamo::video {
namespace fs = std::filesystem;
namespace {

struct OutputDeleter {
  void operator()(AVFormatContext* context) const {
    avio_closep(&context->pb);
    avformat_free_context(context);
  }
};
using OutputPtr = std::unique_ptr<AVFormatContext, OutputDeleter>;

CodecPtr open_x264(const EncoderOptions& options, bool global_header) {
  const AVCodec* codec = avcodec_find_encoder_by_name("libx264");
  if (codec == nullptr) {
    throw core::Error(core::ErrorKind::kDisk, "FFmpeg has no H.264 encoder", "libx264",
                      "install an FFmpeg that was built with libx264");
  }
  CodecPtr encoder(avcodec_alloc_context3(codec));
  if (!encoder) throw std::bad_alloc();
  encoder->width = options.size.width;
  encoder->height = options.size.height;
  encoder->pix_fmt = AV_PIX_FMT_YUV420P;
  encoder->time_base = {options.rate_den, options.rate_num};
  encoder->framerate = {options.rate_num, options.rate_den};
  encoder->gop_size = options.gop_size;
  encoder->max_b_frames = options.b_frames;
  encoder->thread_count = 1;  // callers encode many clips at once; and x264's bytes depend on it
  encoder->colorspace = AVCOL_SPC_SMPTE170M;  // BT.601, and said so in the file
  encoder->color_primaries = AVCOL_PRI_SMPTE170M;
  encoder->color_trc = AVCOL_TRC_SMPTE170M;
  encoder->color_range = AVCOL_RANGE_MPEG;
  if (global_header) encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  av_opt_set(encoder->priv_data, "preset", "superfast", 0);
  av_opt_set(encoder->priv_data, "crf", fmt::format("{}", options.crf).c_str(), 0);
  return encoder;
}

ScalerPtr make_rgb_to_yuv(FrameSize size) {
  ScalerPtr scaler(sws_getContext(size.width, size.height, AV_PIX_FMT_RGB24, size.width,
                                  size.height, AV_PIX_FMT_YUV420P, SWS_AREA | SWS_ACCURATE_RND,
                                  nullptr, nullptr, nullptr));
  if (!scaler) throw std::bad_alloc();
  const int* bt601 = sws_getCoefficients(SWS_CS_ITU601);
  sws_setColorspaceDetails(scaler.get(), bt601, 1, bt601, 0, 0, 1 << 16, 1 << 16);
  return scaler;
}

}  // namespace

struct Encoder::Impl {
  fs::path path;
  core::Temporary temporary;
  FfmpegLog log;
  FrameSize size;
  OutputPtr output;
  CodecPtr encoder;
  ScalerPtr rgb_to_yuv;
  FramePtr frame;
  PacketPtr packet = make_packet();
  AVStream* stream = nullptr;
  int64_t next_frame = 0;
  bool published = false;

  Impl(fs::path final_path, const EncoderOptions& options)
      : path(std::move(final_path)),
        temporary(path.has_parent_path() ? path.parent_path() : "."),
        log(path.string()),
        size(options.size) {
    STREAMO_CHECK(size.width > 0 && size.height > 0 && size.width % 2 == 0 && size.height % 2 == 0,
                  "4:2:0 pictures need even sides");
    const FfmpegLog::Scope scope(log);
    std::error_code ignored;
    if (path.has_parent_path()) fs::create_directories(path.parent_path(), ignored);
    ::close(core::create_exclusively(temporary, path));  // FFmpeg itself would follow a link
    open(options);
  }

  void open(const EncoderOptions& options) {
    const std::string url =
        "file:" + temporary.path().string();  // else "a:b.mp4" is taken for a protocol
    AVFormatContext* context = nullptr;
    check(avformat_alloc_output_context2(&context, nullptr, "mp4", url.c_str()), "make");
    output.reset(context);
    output->flags |= AVFMT_FLAG_BITEXACT;  // the same pictures, the same bytes
    encoder = open_x264(options, (output->oformat->flags & AVFMT_GLOBALHEADER) != 0);
    check(avcodec_open2(encoder.get(), nullptr, nullptr), "set up the encoder of");
    stream = avformat_new_stream(output.get(), nullptr);
    if (stream == nullptr) throw std::bad_alloc();
    stream->time_base = encoder->time_base;
    stream->avg_frame_rate = encoder->framerate;
    check(avcodec_parameters_from_context(stream->codecpar, encoder.get()), "describe");
    check(avio_open(&output->pb, url.c_str(), AVIO_FLAG_WRITE), "create");
    AVDictionary* settings = nullptr;
    av_dict_set(&settings, "movflags", "+faststart", 0);
    const int result = avformat_write_header(output.get(), &settings);
    av_dict_free(&settings);
    check(result, "write");
    rgb_to_yuv = make_rgb_to_yuv(size);
    frame = make_frame();
    frame->format = AV_PIX_FMT_YUV420P;
    frame->width = size.width;
    frame->height = size.height;
    check(av_frame_get_buffer(frame.get(), 0), "make a picture for");
  }

  void write(std::span<const uint8_t> rgb) {
    STREAMO_CHECK(rgb.size() == static_cast<size_t>(size.height) * size.width * 3,
                  "a frame of the encoder's size");
    const FfmpegLog::Scope scope(log);
    check(av_frame_make_writable(frame.get()), "make a picture for");
    const std::array<const uint8_t*, 1> source{rgb.data()};
    const std::array<int, 1> stride{size.width * 3};
    sws_scale(rgb_to_yuv.get(), source.data(), stride.data(), 0, size.height, frame->data,
              frame->linesize);
    frame->pts = next_frame++;
    encode(frame.get());
  }

  void encode(const AVFrame* next) {  // null: no more are coming
    check(avcodec_send_frame(encoder.get(), next), "encode a frame of");
    for (;;) {
      const int result = avcodec_receive_packet(encoder.get(), packet.get());
      if (result == AVERROR(EAGAIN) || result == AVERROR_EOF) return;
      check(result, "encode a frame of");
      packet->duration = 1;
      packet->stream_index = stream->index;
      av_packet_rescale_ts(packet.get(), encoder->time_base, stream->time_base);
      check(av_interleaved_write_frame(output.get(), packet.get()), "write");
    }
  }

  void finish() {
    STREAMO_CHECK(!published, "finish() once");
    const FfmpegLog::Scope scope(log);
    encode(nullptr);
    check(av_write_trailer(output.get()), "write");
    check(avio_closep(&output->pb), "write");  // reports what was still buffered: a full disk
    core::sync_path(temporary.path());
    std::error_code error;
    fs::rename(temporary.path(), path, error);
    if (error) check(AVERROR(error.value()), "rename");
    temporary.release();
    published = true;
  }

  void check(int result, const char* action) {
    if (result >= 0) return;
    log.dismiss();  // the Error tells it
    throw core::Error(core::ErrorKind::kDisk,
                      fmt::format("cannot {} the video ({})", action, ffmpeg_reason(result)),
                      path.string(), "check the folder, its permissions and the free space");
  }
};

Encoder::Encoder(const fs::path& path, const EncoderOptions& options)
    : impl_(std::make_unique<Impl>(path, options)) {}

Encoder::~Encoder() = default;

void Encoder::write(std::span<const uint8_t> rgb) {
  impl_->write(rgb);
}

void Encoder::finish() {
  impl_->finish();
}

}  // namespace streamo::video
