#include "ffmpeg_handles.h"

#include <array>
#include <cstdarg>
#include <mutex>
#include <new>

namespace streamo::video {
namespace {

constexpr int kMaxMessage = 512;

std::string& last_message() {
  thread_local std::string message;
  return message;
}

void keep_message(void* context, int level, const char* format, va_list arguments) {
  if (level > AV_LOG_ERROR) return;
  std::array<char, kMaxMessage> line{};
  int print_prefix = 1;
  av_log_format_line2(nullptr, level, format, arguments, line.data(), kMaxMessage, &print_prefix);
  std::string text = line.data();
  while (!text.empty() && (text.back() == '\n' || text.back() == '.')) text.pop_back();
  if (!text.empty()) last_message() = std::move(text);
  static_cast<void>(context);  // its name would be "mov,mp4,m4a @ 0x55d0...": nothing to a reader
}

}  // namespace

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

void capture_ffmpeg_log() {
  static std::once_flag installed;
  std::call_once(installed, [] { av_log_set_callback(keep_message); });
  last_message().clear();
}

std::string ffmpeg_reason(int error_code) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> meaning{};
  av_strerror(error_code, meaning.data(), meaning.size());
  return last_message().empty() ? meaning.data() : last_message() + ": " + meaning.data();
}

}  // namespace streamo::video
