// FFmpeg's objects as owners.
#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>
}

#include <memory>

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

}  // namespace streamo::video
