// The #ifs on library versions, all in one place.
#include "video/ffmpeg/ffmpeg_versions.h"

#include <cstddef>

namespace streamo::video {

bool is_key(const AVFrame& picture) {
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 29, 100)  // 6.1
  return (picture.flags & AV_FRAME_FLAG_KEY) != 0;
#else
  return picture.key_frame != 0;
#endif
}

int64_t frame_duration(const AVFrame& picture) {
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 2, 100)  // 6.0
  return picture.duration;
#else
  return picture.pkt_duration;
#endif
}

std::span<const uint8_t> stream_side_data(const AVStream& stream, AVPacketSideDataType type) {
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 102)  // 6.1
  const AVCodecParameters& codec = *stream.codecpar;
  const AVPacketSideData* found =
      av_packet_side_data_get(codec.coded_side_data, codec.nb_coded_side_data, type);
  if (found == nullptr) return {};
  return {found->data, found->size};
#else
  size_t bytes = 0;
  const uint8_t* data = av_stream_get_side_data(&stream, type, &bytes);
  if (data == nullptr) return {};
  return {data, bytes};
#endif
}

}  // namespace streamo::video
