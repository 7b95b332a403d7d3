// One video stream of one file: its packets, and its pictures in the order they are shown.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "decode_plan.h"
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
  AVRational frame_rate() const;     // average; 25 where the file does not tell
  int64_t nominal_duration() const;  // of a picture, ticks
  bool read(AVPacket& packet);       // the next packet of the stream; false at the end

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

  // Before the first picture: decode only what a plan says.
  void follow(std::vector<Feed> plan);

  const Demuxer& demuxer() const { return demuxer_; }
  bool next(AVFrame& picture);  // false after the last

  // Whether something has been seen under a plan that another way through the file could show
  // otherwise: damage, a beginning of a group that is no I picture. Then decode everything.
  bool in_doubt() const { return in_doubt_; }
  int64_t packets_fed() const { return packets_fed_; }  // those to be decoded
  int64_t pictures() const { return pictures_; }        // handed out

 private:
  Decoder(Demuxer demuxer, CodecPtr codec);
  void feed();
  void feed_planned();
  void drain();
  void send();
  void restart();
  void look_at(const AVFrame& picture);

  Demuxer demuxer_;
  CodecPtr codec_;
  PacketPtr packet_;
  std::optional<std::vector<Feed>> plan_;
  size_t position_ = 0;      // in the plan
  bool restarting_ = false;  // `packet_` waits until the decoder is empty
  int64_t group_start_ = std::numeric_limits<int64_t>::min();  // where it was restarted last
  bool in_doubt_ = false;
  int64_t packets_fed_ = 0, pictures_ = 0;
};

}  // namespace streamo::video
