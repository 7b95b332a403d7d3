// What is said between this program and its decoder processes. One message a packet of a socket;
// pixels lie in memory that both share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "streamo/video/sampler.h"
#include "video/ffmpeg/file_descriptor.h"

namespace streamo::video {

inline constexpr size_t kMaxDecoderMessage = 1 << 16;

struct DecoderRequest {
  // A file comes along with kOpen, kPicture and kPictureSize.
  enum class Kind : uint8_t { kOpen, kNext, kClose, kPicture, kPictureSize };
  Kind kind = Kind::kNext;
  std::string path = {};       // what the file is called
  SampleOptions options = {};  // of a picture: pixel_limits alone
};

struct DecoderReply {
  enum class Kind : uint8_t {
    kReady,     // to its start
    kProgress,  // not the answer: the file got on
    kInfo,      // to kOpen
    kFrame,     // to kNext and kPicture; its pixels are in the shared memory, from its beginning
    kEnd,       // to kNext: there are no more
    kSize,      // to kPictureSize: frame.size
    kFault,     // to any: `reason`
    kError,     // to any: core::Error of kind `error_kind`
  };
  Kind kind = Kind::kProgress;
  std::string reason = {};
  int32_t error_kind = 0;
  VideoInfo info = {};
  Frame frame = {};
  DecodeCounters counters = {};
  std::vector<std::string> said = {};  // by FFmpeg, since the last answer
  int64_t said_more = 0;               // messages that are not cited
};

std::string encode(const DecoderRequest& request);
std::string encode(const DecoderReply& reply);
// Throw std::runtime_error where the bytes are no message.
DecoderRequest decode_request(std::string_view bytes);
DecoderReply decode_reply(std::string_view bytes);

// A message and, with it, a file. False: the other end is gone.
bool send_message(int socket, const std::string& bytes, int file = -1);
struct Received {
  std::string bytes = {};  // none: the other end is gone
  FileDescriptor file = FileDescriptor();
};
Received receive_message(int socket);

}  // namespace streamo::video
