// Serialisation of the messages between this program and its decoder processes.
#include "video/worker/decoder_messages.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "core/io/byte_codec.h"

namespace streamo::video {
namespace {

using core::ByteReader;
using core::ByteWriter;

template <typename Kind>
Kind read_kind(ByteReader& reader, Kind last) {
  const auto value = reader.number<uint8_t>();
  if (value > static_cast<uint8_t>(last)) throw std::runtime_error("a message of no known kind");
  return static_cast<Kind>(value);
}

template <typename Kind>
void write_kind(ByteWriter& writer, Kind kind) {
  writer.number(static_cast<uint8_t>(kind));
}

// Each field once, for both directions: `coder` reads it or writes it. The structures are taken
// apart by name so that a field added to one does not compile until it is in its message.
struct Write {
  ByteWriter& writer;
  template <typename Number>
  void operator()(const Number& value) const {
    writer.number(value);
  }
};
struct Read {
  ByteReader& reader;
  template <typename Number>
  void operator()(Number& value) const {
    value = reader.number<Number>();
  }
};

template <typename Size, typename Coder>
void code_size(Size& size, Coder coder) {
  auto& [height, width] = size;
  coder(height);
  coder(width);
}

template <typename Info, typename Coder>
void code_info(Info& info, Coder coder) {
  auto& [start, duration, frame_rate, num_pictures, longest_frame_duration, announced_duration,
         size, num_samples] = info;
  coder(start);
  coder(duration);
  coder(frame_rate);
  coder(num_pictures);
  coder(longest_frame_duration);
  coder(announced_duration);
  code_size(size, coder);
  coder(num_samples);
}

template <typename OneFrame, typename Coder>
void code_frame(OneFrame& frame, Coder coder) {
  auto& [index, time, pts_time, keyframe, size, rgb] = frame;  // pixels go by shared memory
  coder(index);
  coder(time);
  coder(pts_time);
  coder(keyframe);
  code_size(size, coder);
}

template <typename Counters, typename Coder>
void code_counters(Counters& counters, Coder coder) {
  auto& [packets, pictures, conversions, plan_given_up] = counters;
  coder(packets);
  coder(pictures);
  coder(conversions);
  coder(plan_given_up);
}

template <typename Limits, typename Coder>
void code_limits(Limits& limits, Coder coder) {
  auto& [min_pixels, max_pixels, factor] = limits;
  coder(min_pixels);
  coder(max_pixels);
  coder(factor);
}

template <typename Options, typename Coder>
void code_options(Options& options, Coder coder) {
  auto& [fps, phase, pixel_limits, resize, decoding, time_limit] = options;  // the others: encode()
  coder(fps);
  coder(phase);
  coder(time_limit);
}

}  // namespace

std::string encode(const DecoderRequest& request) {
  ByteWriter writer;
  const SampleOptions& options = request.options;
  write_kind(writer, request.kind);
  writer.text(request.path);
  code_options(options, Write{writer});
  write_kind(writer, options.resize);
  write_kind(writer, options.decoding);
  if (options.pixel_limits) code_limits(*options.pixel_limits, Write{writer});
  return writer.bytes();
}

DecoderRequest decode_request(std::string_view bytes) {
  ByteReader reader(bytes);
  DecoderRequest request;
  SampleOptions& options = request.options;
  request.kind = read_kind(reader, DecoderRequest::Kind::kPictureSize);
  request.path = reader.text();
  code_options(options, Read{reader});
  options.resize = read_kind(reader, ResizeMode::kExact);
  options.decoding = read_kind(reader, Decoding::kSequential);
  if (!reader.at_end()) code_limits(options.pixel_limits.emplace(), Read{reader});
  return request;
}

std::string encode(const DecoderReply& reply) {
  ByteWriter writer;
  write_kind(writer, reply.kind);
  writer.text(reply.reason);
  writer.number(reply.error_kind);
  code_info(reply.info, Write{writer});
  code_frame(reply.frame, Write{writer});
  code_counters(reply.counters, Write{writer});
  writer.number(reply.said_more);
  for (const std::string& message : reply.said) writer.text(message);
  return writer.bytes();
}

DecoderReply decode_reply(std::string_view bytes) {
  ByteReader reader(bytes);
  DecoderReply reply;
  reply.kind = read_kind(reader, DecoderReply::Kind::kError);
  reply.reason = reader.text();
  reply.error_kind = reader.number<int32_t>();
  code_info(reply.info, Read{reader});
  code_frame(reply.frame, Read{reader});
  code_counters(reply.counters, Read{reader});
  reply.said_more = reader.number<int64_t>();
  while (!reader.at_end()) reply.said.push_back(reader.text());
  return reply;
}

bool send_message(int socket, const std::string& bytes, int file) {
  iovec content{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &content;
  message.msg_iovlen = 1;
  if (file >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &file, sizeof(file));
  }
  ssize_t sent = -1;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(bytes.size());
}

Received receive_message(int socket) {
  Received received;
  received.bytes.resize(kMaxDecoderMessage);
  iovec content{received.bytes.data(), received.bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &content;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = -1;
  do {
    got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  received.bytes.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
  const cmsghdr* header = got > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int file = -1;
    std::memcpy(&file, CMSG_DATA(header), sizeof(file));
    received.file = FileDescriptor(file);
  }
  return received;
}

}  // namespace streamo::video
