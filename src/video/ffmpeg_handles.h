// FFmpeg's objects as owners, and its messages as text.
#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>
}

#include <memory>
#include <string>

namespace streamo::video {

struct FfmpegDeleter {
  void operator()(AVFormatContext* context) const { avformat_close_input(&context); }
  void operator()(AVCodecContext* context) const { avcodec_free_context(&context); }
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
  void operator()(SwsContext* context) const { sws_freeContext(context); }
};

template <typename T>
using FfmpegPtr = std::unique_ptr<T, FfmpegDeleter>;
using InputPtr = FfmpegPtr<AVFormatContext>;  // an opened input file
using CodecPtr = FfmpegPtr<AVCodecContext>;
using FramePtr = FfmpegPtr<AVFrame>;
using PacketPtr = FfmpegPtr<AVPacket>;
using ScalerPtr = FfmpegPtr<SwsContext>;

FramePtr make_frame();  // throw std::bad_alloc
PacketPtr make_packet();

// FFmpeg prints to stderr by itself, from any depth and without saying which file it means. From
// the first call on it prints nothing; instead each thread keeps the last error it was told, for
// the reason of a Fault. We use one FFmpeg thread a file, so what a thread was told last is about
// the file it is reading. Each call forgets what the thread was told so far.
void capture_ffmpeg_log();

// "moov atom not found: Invalid data found when processing input": the captured message and the
// meaning of `error_code` (negative, as FFmpeg's functions return it).
std::string ffmpeg_reason(int error_code);

}  // namespace streamo::video
