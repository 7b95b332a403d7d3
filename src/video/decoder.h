// One video stream of one file: its packets, and its pictures in the order they are shown.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

#include "ffmpeg_handles.h"
#include "streamo/core/error.h"
#include "streamo/video/resize.h"

namespace streamo::video {

inline constexpr int64_t kMaxPixels =
    int64_t{16384} * 16384;  // of one picture: a larger one is a bomb

// "clip.mp4: what"
core::Fault file_fault(const std::filesystem::path& path, std::string_view what);

// Why there is nothing to read: no such file, a folder, an empty file.
std::optional<core::Fault> missing_content(const std::filesystem::path& path);

// The packets of the stream with the default disposition, else of the largest; never of an attached
// picture.
class Demuxer {
 public:
  static core::Result<Demuxer> open(const std::filesystem::path& path);

  const AVStream& stream() const { return *input_->streams[stream_index_]; }
  AVRational frame_rate() const;      // average; 25 where the file does not tell
  int64_t nominal_duration() const;   // of a picture, ticks
  double announced_duration() const;  // seconds, by the file's header; 0: it does not tell
  bool read(AVPacket& packet);        // the next packet of the stream; false at the end

 private:
  Demuxer(InputPtr input, int stream_index)
      : input_(std::move(input)), stream_index_(stream_index) {}
  InputPtr input_;
  int stream_index_;
};

enum class Damage {
  kGoOn,    // decode the damaged packets as far as they go
  kRefuse,  // none of a packet that fails a check
};

// A damaged packet does not end the stream: decoding goes on with the next one.
class Decoder {
 public:
  static core::Result<Decoder> open(const std::filesystem::path& path,
                                    Damage damage = Damage::kGoOn);

  const Demuxer& demuxer() const { return demuxer_; }
  bool next(AVFrame& picture);  // false after the last

 private:
  Decoder(Demuxer demuxer, CodecPtr codec);
  void feed();

  Demuxer demuxer_;
  CodecPtr codec_;
  PacketPtr packet_;
};

}  // namespace streamo::video
