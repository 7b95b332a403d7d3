// What FFmpeg's versions, 5.1 to 9, call by different names.
#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
}

#include <cstdint>
#include <span>

namespace streamo::video {

bool is_key(const AVFrame& picture);

// In the stream's time base; 0: unknown.
int64_t frame_duration(const AVFrame& picture);

// What the container says of the stream beside its packets; empty where it says nothing.
std::span<const uint8_t> stream_side_data(const AVStream& stream, AVPacketSideDataType type);

}  // namespace streamo::video
