// What a packet means for the decoding of the others, told from its first bytes: a container's
// keyframe flag is not enough (an intra refresh is flagged too), and says nothing about references.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_set>
#include <vector>

#include "video/decode/av1_references.h"
#include "video/decode/hevc_references.h"
#include "video/decode/nal_units.h"
#include "video/decode/vp9_references.h"
#include "video/ffmpeg/ffmpeg_handles.h"

namespace streamo::video {

struct PacketKind {
  bool understood = false;  // false: nothing below is known
  // What is shown after it and decoded after it needs nothing from before it.
  bool random_access = false;
  // No picture of its temporal layer or of a lower one refers to it.
  bool droppable = false;
  int layer = 0;      // temporal: 0 is the lowest
  bool shown = true;  // false: it only serves as a reference (VP8's and VP9's hidden pictures)
  int64_t order = 0;  // of pictures as shown, by the codec: must agree with the packets' times
  // The earlier packets it needs, where the codec tells: numbers in the order of the file.
  std::optional<std::vector<uint32_t>> references = std::nullopt;
  // Whether the decoder must be emptied before a point of random access when what stands before it
  // was dropped.
  bool needs_restart = true;
};

struct ParserDeleter {
  void operator()(AVCodecParserContext* parser) const { av_parser_close(parser); }
};

// For one stream, whose packets it sees in the order of the file.
class PacketClassifier {
 public:
  explicit PacketClassifier(const AVCodecParameters& codec);

  PacketKind classify(const AVPacket& packet);

 private:
  enum class Coding {
    kUnknown,
    kIntra,    // each picture alone
    kInOrder,  // shown as decoded; the container's keyframe flag is right, see Decoder::in_doubt
    kVp8,
    kVp9,
    kAv1,
    kMpegVideo,  // MPEG-1 and MPEG-2
    kMpeg4,
    kH264,
    kHevc,
  };
  static Coding classify_codec(AVCodecID codec);
  PacketKind look_at(const AVPacket& packet);
  PacketKind classify_h264(const AVPacket& packet);
  PacketKind classify_hevc(const AVPacket& packet);
  PacketKind classify_av1(const AVPacket& packet);
  PacketKind classify_vp9(const AVPacket& packet);
  PacketKind with_order_count(const AVPacket& packet, PacketKind kind);
  PacketKind reordered(int type);
  bool remember(Bytes parameter_set);
  bool read_hevc_parameters(Bytes unit);

  Coding coding_;
  CodecPtr context_;  // of the parser
  std::unique_ptr<AVCodecParserContext, ParserDeleter> parser_;
  int length_size_ = 0;
  Av1References av1_;
  Vp9References vp9_;
  HevcReferences hevc_;
  uint32_t number_ = 0;  // of the packet
  int64_t sequence_ = 0, references_ = 0, since_reference_ = 0;
  std::unordered_set<size_t> parameter_sets_;  // hashes
};

}  // namespace streamo::video
