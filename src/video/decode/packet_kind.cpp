// One classifier per codec: random access points, disposable pictures and output order, from the
// specification of each.
#include "video/decode/packet_kind.h"

#include <algorithm>
#include <new>
#include <string_view>
#include <utility>

namespace streamo::video {
namespace {

constexpr int kSequenceShift = 33;  // picture order counts are of 32 bits, with a sign

Bytes packet_bytes(const AVPacket& packet) {
  return {packet.data, static_cast<size_t>(packet.size)};
}

// H.264 D.1.8: from here all is correct that is shown from here on, and exactly so.
bool is_exact_recovery_point(Bytes sei_unit) {
  constexpr uint32_t kRecoveryPoint = 6;
  const std::vector<uint8_t> sei = unescaped(sei_unit.subspan(1));
  size_t at = 0;
  const auto number = [&] {  // 7.3.2.3.1
    uint32_t value = 0;
    while (at < sei.size() && sei[at] == 0xff) value += sei[at++];
    return at < sei.size() ? value + sei[at++] : value;
  };
  while (at + 2 < sei.size()) {
    const uint32_t type = number();
    const uint32_t size = number();
    if (size > sei.size() - at) return false;
    if (type == kRecoveryPoint) {
      BitReader payload(Bytes(sei).subspan(at, size));
      const uint32_t recovery_frame_count = payload.exp_golomb();
      return recovery_frame_count == 0 && payload.flag() && !payload.past_end();
    }
    at += size;
  }
  return false;
}

// Picture type and, of MPEG-2, the structure, behind their start codes. 0: not found.
struct MpegHeader {
  int type = 0;       // 1 I, 2 P, 3 B
  int structure = 3;  // 3: a frame, else one field
};

// ISO/IEC 13818-2 6.2.3, 6.2.3.1
MpegHeader mpeg_video_header(Bytes packet) {
  constexpr uint8_t kPicture = 0x00, kExtension = 0xb5, kFirstSlice = 0x01, kLastSlice = 0xaf;
  constexpr int kPictureCoding = 8;
  MpegHeader header;
  NalUnits units(packet, 0);  // start codes are those of Annex B
  while (const auto unit = units.next()) {
    if (unit->empty()) continue;
    const uint8_t code = unit->front();
    if (code >= kFirstSlice && code <= kLastSlice) break;
    if (code == kPicture && unit->size() > 2) header.type = (*unit)[2] >> 3 & 7;
    if (code == kExtension && unit->size() > 3 && (*unit)[1] >> 4 == kPictureCoding) {
      header.structure = (*unit)[3] & 3;
    }
  }
  return header;
}

// ISO/IEC 14496-2 6.2.5: I, P, B, S as 1, 2, 3, 4. 0: not found.
int mpeg4_type(Bytes packet) {
  constexpr uint8_t kVideoObjectPlane = 0xb6;
  NalUnits units(packet, 0);
  while (const auto unit = units.next()) {
    if (unit->size() > 1 && unit->front() == kVideoObjectPlane) return ((*unit)[1] >> 6) + 1;
  }
  return 0;
}

}  // namespace

PacketClassifier::Coding PacketClassifier::classify_codec(AVCodecID codec) {
  switch (codec) {
    case AV_CODEC_ID_H264:
      return Coding::kH264;
    case AV_CODEC_ID_HEVC:
      return Coding::kHevc;
    case AV_CODEC_ID_MPEG1VIDEO:
    case AV_CODEC_ID_MPEG2VIDEO:
      return Coding::kMpegVideo;
    case AV_CODEC_ID_MPEG4:
      return Coding::kMpeg4;
    case AV_CODEC_ID_VP8:
      return Coding::kVp8;
    case AV_CODEC_ID_VP9:
      return Coding::kVp9;
    case AV_CODEC_ID_AV1:
      return Coding::kAv1;
    case AV_CODEC_ID_THEORA:
    case AV_CODEC_ID_MSMPEG4V1:
    case AV_CODEC_ID_MSMPEG4V2:
    case AV_CODEC_ID_MSMPEG4V3:
    case AV_CODEC_ID_WMV1:
    case AV_CODEC_ID_WMV2:
    case AV_CODEC_ID_FLV1:
    case AV_CODEC_ID_H263:
      return Coding::kInOrder;
    default:
      break;
  }
  const AVCodecDescriptor* about = avcodec_descriptor_get(codec);
  const bool intra = about != nullptr && (about->props & AV_CODEC_PROP_INTRA_ONLY) != 0;
  return intra ? Coding::kIntra : Coding::kUnknown;
}

PacketClassifier::PacketClassifier(const AVCodecParameters& codec)
    : coding_(classify_codec(codec.codec_id)), length_size_(nal_length_size(codec)) {
  constexpr int kAv1HeaderSize = 4;  // of av1C, before its OBUs
  if (coding_ == Coding::kAv1 && codec.extradata_size > kAv1HeaderSize) {
    av1_.read_header(
        Bytes(codec.extradata, static_cast<size_t>(codec.extradata_size)).subspan(kAv1HeaderSize));
  }
  if (coding_ != Coding::kH264 && coding_ != Coding::kHevc) return;
  context_.reset(avcodec_alloc_context3(nullptr));
  if (!context_ || avcodec_parameters_to_context(context_.get(), &codec) < 0) {
    throw std::bad_alloc();
  }
  parser_.reset(av_parser_init(codec.codec_id));
  if (!parser_) {
    coding_ = Coding::kUnknown;
    return;
  }
  parser_->flags |= PARSER_FLAG_COMPLETE_FRAMES;
  for (const Bytes set : stored_parameter_sets(codec)) {
    coding_ == Coding::kHevc ? read_hevc_parameters(set) : remember(set);
  }
}

// Where pictures change places only as in MPEG: B pictures are shown before the reference ahead of
// them, and are no references.
PacketKind PacketClassifier::reordered(int type) {
  constexpr int kI = 1, kB = 3;
  constexpr int kBetweenReferences = 32;  // bits
  PacketKind kind;
  kind.understood = type >= kI && type <= 4;
  kind.random_access = type == kI;
  kind.droppable = type == kB;
  if (kind.droppable) {
    kind.order = ((references_ - 1) << kBetweenReferences) + ++since_reference_;
  } else {
    kind.order = ++references_ << kBetweenReferences;
    since_reference_ = 0;
  }
  return kind;
}

PacketKind PacketClassifier::classify(const AVPacket& packet) {
  PacketKind kind = look_at(packet);
  ++number_;
  return kind;
}

PacketKind PacketClassifier::look_at(const AVPacket& packet) {
  size_t side_bytes = 0;
  if (coding_ == Coding::kUnknown || packet.size <= 0 ||
      av_packet_get_side_data(&packet, AV_PKT_DATA_NEW_EXTRADATA, &side_bytes) != nullptr) {
    return {};
  }
  const Bytes bytes = packet_bytes(packet);
  PacketKind kind{.understood = true};
  switch (coding_) {
    case Coding::kH264:
      return classify_h264(packet);
    case Coding::kHevc:
      return classify_hevc(packet);
    case Coding::kAv1:
      return classify_av1(packet);
    case Coding::kVp9:
      return classify_vp9(packet);
    case Coding::kMpegVideo: {
      const MpegHeader header = mpeg_video_header(bytes);
      kind = reordered(header.type);
      kind.understood = kind.understood && header.structure == 3;
      return kind;
    }
    case Coding::kMpeg4:
      return reordered(mpeg4_type(bytes));
    case Coding::kVp8:  // RFC 6386 9.1
      kind.random_access = (bytes[0] & 1) == 0;
      kind.shown = (bytes[0] & 0x10) != 0;
      break;
    case Coding::kIntra:
      kind.random_access = true;
      break;
    default:
      kind.random_access = (packet.flags & AV_PKT_FLAG_KEY) != 0;
      break;
  }
  kind.order = ++references_;
  return kind;
}

// Whether it is one that came before.
bool PacketClassifier::remember(Bytes parameter_set) {
  const std::string_view text(reinterpret_cast<const char*>(parameter_set.data()),
                              parameter_set.size());
  return !parameter_sets_.insert(std::hash<std::string_view>()(text)).second;
}

PacketKind PacketClassifier::classify_h264(const AVPacket& packet) {
  constexpr int kFirstSlice = 1, kIdr = 5, kSei = 6, kSequence = 7, kPicture = 8;
  bool recovery = false, new_parameters = false;
  NalUnits units(packet_bytes(packet), length_size_);
  while (const auto unit = units.next()) {
    if (unit->empty()) continue;
    const int type = unit->front() & 31;
    if (type == kSei) recovery = recovery || is_exact_recovery_point(*unit);
    if (type == kSequence || type == kPicture) new_parameters = !remember(*unit) || new_parameters;
    if (type < kFirstSlice || type > kIdr) continue;
    PacketKind kind{.understood = true};
    if (type == kIdr) ++sequence_;
    kind.droppable = (unit->front() >> 5 & 3) == 0;
    kind = with_order_count(packet, kind);
    kind.random_access = type == kIdr || (recovery && parser_->pict_type == AV_PICTURE_TYPE_I);
    // What was dropped must not have brought what later pictures need.
    kind.understood = kind.understood && (kind.random_access || !new_parameters);
    return kind;
  }
  return {};
}

// Whether `unit` is a set of parameters that did not come before.
bool PacketClassifier::read_hevc_parameters(Bytes unit) {
  constexpr int kVideo = 32, kSequence = 33, kPicture = 34;
  if (unit.empty()) return false;
  const int type = unit.front() >> 1 & 63;
  if (type < kVideo || type > kPicture || remember(unit)) return false;
  if (type == kSequence) hevc_.read_sequence_parameters(unescaped(unit));
  if (type == kPicture) hevc_.read_picture_parameters(unescaped(unit));
  return true;
}

PacketKind PacketClassifier::classify_hevc(const AVPacket& packet) {
  constexpr int kFirstRandomAccess = 16, kLastRandomAccess = 21, kFirstIdr = 19, kLastIdr = 20;
  constexpr int kLastSlice = 31;
  constexpr int kLastOfTwoTypes = 14;  // below, even types are those without references
  constexpr size_t kHeaderBytes = 256;
  bool new_parameters = false;
  NalUnits units(packet_bytes(packet), length_size_);
  while (const auto unit = units.next()) {
    // Units of a layer above (another view, transparency) are not decoded.
    if (unit->size() < 2 || ((*unit)[0] & 1) != 0 || (*unit)[1] >> 3 != 0) continue;
    const int type = unit->front() >> 1 & 63;
    new_parameters = read_hevc_parameters(*unit) || new_parameters;
    if (type > kLastSlice) continue;
    PacketKind kind{.understood = true};
    if (type >= kFirstIdr && type <= kLastIdr) ++sequence_;
    kind.random_access = type >= kFirstRandomAccess && type <= kLastRandomAccess;
    kind.droppable = type <= kLastOfTwoTypes && type % 2 == 0;
    kind.layer = ((*unit)[1] & 7) - 1;
    kind = with_order_count(packet, std::move(kind));
    kind.understood = kind.understood && (kind.random_access || !new_parameters);
    HevcReferences::Picture picture =
        hevc_.read_slice(unescaped(unit->first(std::min(unit->size(), kHeaderBytes))),
                         parser_->output_picture_number, number_);
    kind.shown = picture.shown;
    kind.references = std::move(picture.references);
    return kind;
  }
  return {};
}

PacketKind PacketClassifier::classify_av1(const AVPacket& packet) {
  std::optional<Av1References::Packet> read = av1_.next(packet_bytes(packet));
  PacketKind kind{.understood = read.has_value()};
  if (!read) return kind;
  kind.random_access = read->key;
  kind.order = ++references_;
  kind.references = std::move(read->references);
  kind.needs_restart = false;
  return kind;
}

PacketKind PacketClassifier::classify_vp9(const AVPacket& packet) {
  Vp9References::Packet read = vp9_.next(packet_bytes(packet));
  // Where a packet shows several frames (spatial layers), the decoder hands out all of them.
  PacketKind kind{.understood = read.shown <= 1};
  kind.random_access = read.key;
  kind.shown = read.shown == 1;
  kind.order = ++references_;
  kind.references = std::move(read.references);
  kind.needs_restart = false;
  return kind;
}

PacketKind PacketClassifier::with_order_count(const AVPacket& packet, PacketKind kind) {
  uint8_t* data = nullptr;  // the parser's way of handing out what it was given
  int size = 0;
  av_parser_parse2(parser_.get(), context_.get(), &data, &size, packet.data, packet.size,
                   packet.pts, packet.dts, packet.pos);
  // A field of its own is half of what the decoder hands out.
  kind.understood = parser_->picture_structure != AV_PICTURE_STRUCTURE_TOP_FIELD &&
                    parser_->picture_structure != AV_PICTURE_STRUCTURE_BOTTOM_FIELD;
  kind.order = (sequence_ << kSequenceShift) + parser_->output_picture_number;
  return kind;
}

}  // namespace streamo::video
