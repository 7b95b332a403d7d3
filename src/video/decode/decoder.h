// One video stream of one file: its packets, and its pictures in the order they are shown.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "streamo/core/error.h"
#include "video/decode/decode_plan.h"
#include "video/ffmpeg/ffmpeg_handles.h"
#include "video/ffmpeg/input.h"

namespace streamo::video {

// The packets of the chosen stream of an Input.
class Demuxer {
 public:
  static core::Result<Demuxer> open(const std::shared_ptr<FileWatch>& watch,
                                    int64_t max_pixels = kMaxPixels,
                                    Reading reading = Reading::kTwice);

  const AVStream& stream() const { return input_.stream(); }
  const std::filesystem::path& path() const { return input_.path(); }
  AVRational frame_rate() const;      // average; 25 where the file does not tell
  int64_t nominal_duration() const;   // of a picture, ticks
  double announced_duration() const;  // seconds, by the file's header; 0: it does not tell
  // The next packet of the stream; false at the end, after kMaxPackets, and when the time limit is
  // up. Each second of video that passes renews the limit.
  bool read(AVPacket& packet);
  bool is_overlong() const { return packets_ >= kMaxPackets; }
  // Begins again with the first packet. False where that is not sure to work: open the file again,
  // which takes 5 to 20 ms of decoding (avformat_find_stream_info).
  bool rewind();

 private:
  explicit Demuxer(Input input) : input_(std::move(input)) {}
  void note_progress(const AVPacket& packet);

  Input input_;
  struct Identity {
    int64_t pts = AV_NOPTS_VALUE, pos = -1;
    int flags = 0, size = 0;
    explicit Identity(const AVPacket& packet)
        : pts(packet.pts), pos(packet.pos), flags(packet.flags), size(packet.size) {}
    friend bool operator==(const Identity&, const Identity&) = default;
  };
  std::optional<Identity> first_;
  PacketPtr waiting_;    // read ahead
  int64_t packets_ = 0;  // of all streams
  int64_t last_second_ = std::numeric_limits<int64_t>::min();
};

enum class Damage {
  kGoOn,    // decode the damaged packets as far as they go
  kRefuse,  // none of a packet that fails a check
};

struct OpenOptions {
  Damage damage = Damage::kGoOn;
  int64_t max_pixels = kMaxPixels;  // of a picture
};

// A damaged packet does not end the stream: decoding goes on with the next one.
class Decoder {
 public:
  static core::Result<Decoder> open(const std::shared_ptr<FileWatch>& watch,
                                    const OpenOptions& options = {});
  static core::Result<Decoder> open(Demuxer demuxer, const OpenOptions& options = {});

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
