// Allocation that throws instead of returning null.
#include "video/ffmpeg/ffmpeg_handles.h"

#include <new>

namespace streamo::video {

FramePtr make_frame() {
  FramePtr frame(av_frame_alloc());
  if (!frame) throw std::bad_alloc();
  return frame;
}

PacketPtr make_packet() {
  PacketPtr packet(av_packet_alloc());
  if (!packet) throw std::bad_alloc();
  return packet;
}

}  // namespace streamo::video
