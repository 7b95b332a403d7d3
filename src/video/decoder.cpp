#include "decoder.h"

extern "C" {
#include <libavutil/dict.h>
}

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <optional>
#include <utility>

namespace streamo::video {
namespace fs = std::filesystem;
namespace {

constexpr AVRational kUnknownRate{25, 1};
// Errors in a row, out-of-memory among them: a damaged length asks for more than there is. A file
// that can be read on needs a few; the limit is for one that cannot.
constexpr int kMaxErrors = 100;

core::Result<InputPtr> open_input(const fs::path& path) {
  AVDictionary* options = nullptr;
  // Playlists and the like may name other files; they must not reach the network.
  av_dict_set(&options, "protocol_whitelist", "file", 0);
  av_dict_set(&options, "pattern_type", "none", 0);  // "shot_%03d.jpg" is one file's name
  AVFormatContext* opened = nullptr;
  // "file:", because FFmpeg takes what stands before a colon for a protocol.
  const int result =
      avformat_open_input(&opened, ("file:" + path.string()).c_str(), nullptr, &options);
  av_dict_free(&options);
  if (result < 0) {
    return file_fault(path, fmt::format("not a readable video ({})", ffmpeg_reason(result)));
  }
  return InputPtr(opened);
}

// -1: none.
int choose_stream(const AVFormatContext& input) {
  constexpr int kPictures = AV_DISPOSITION_ATTACHED_PIC | AV_DISPOSITION_TIMED_THUMBNAILS;
  int best = -1;
  std::pair<bool, int64_t> best_rank;
  for (unsigned i = 0; i < input.nb_streams; ++i) {
    const AVStream& stream = *input.streams[i];
    const AVCodecParameters& codec = *stream.codecpar;
    if (codec.codec_type != AVMEDIA_TYPE_VIDEO || (stream.disposition & kPictures) != 0) continue;
    const std::pair<bool, int64_t> rank{(stream.disposition & AV_DISPOSITION_DEFAULT) != 0,
                                        int64_t{codec.width} * codec.height};
    if (best < 0 || rank > best_rank) {
      best = static_cast<int>(i);
      best_rank = rank;
    }
  }
  return best;
}

// Where the index stands in front, a file that was cut off opens like a whole one: its pictures
// would just end early, and what was annotated after that be lost without a word.
std::optional<core::Fault> cut_off(const fs::path& path, const AVFormatContext& input,
                                   AVStream* stream) {
  const int entries = avformat_index_get_entries_count(stream);
  const int64_t size = avio_size(input.pb);
  if (entries == 0 || size <= 0) return std::nullopt;
  const AVIndexEntry* last = avformat_index_get_entry(stream, entries - 1);
  const int64_t wanted = last->pos + last->size;
  if (wanted <= size) return std::nullopt;
  return file_fault(path, fmt::format("it was cut off: it has {} bytes, and its last picture ends "
                                      "at {}",
                                      size, wanted));
}

core::Result<CodecPtr> open_codec(const fs::path& path, const AVStream& stream, Damage damage) {
  const AVCodecParameters& parameters = *stream.codecpar;
  const AVCodec* codec = avcodec_find_decoder(parameters.codec_id);
  if (codec == nullptr) {
    return file_fault(path, fmt::format("this FFmpeg has no decoder for its codec, {}",
                                        avcodec_get_name(parameters.codec_id)));
  }
  CodecPtr context(avcodec_alloc_context3(codec));
  if (!context) throw std::bad_alloc();
  int result = avcodec_parameters_to_context(context.get(), &parameters);
  context->pkt_timebase = stream.time_base;
  context->thread_count = 1;  // the program is parallel over files
  context->max_pixels = kMaxPixels;
  if (damage == Damage::kRefuse) context->err_recognition |= AV_EF_CRCCHECK | AV_EF_EXPLODE;
  if (result >= 0) result = avcodec_open2(context.get(), codec, nullptr);
  if (result < 0) {
    return file_fault(path,
                      fmt::format("cannot decode {} ({})", codec->name, ffmpeg_reason(result)));
  }
  return context;
}

}  // namespace

core::Fault file_fault(const fs::path& path, std::string_view what) {
  return {fmt::format("{}: {}", path.string(), what)};
}

std::optional<core::Fault> missing_content(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) return file_fault(path, error ? error.message() : "no such file");
  if (fs::is_directory(status)) return file_fault(path, "this is a folder, not a file");
  if (fs::is_regular_file(status) && fs::file_size(path, error) == 0) {
    return file_fault(path, "the file is empty (0 bytes)");
  }
  return std::nullopt;
}

core::Result<Demuxer> Demuxer::open(const fs::path& path) {
  capture_ffmpeg_log();
  if (auto fault = missing_content(path)) return *std::move(fault);
  core::Result<InputPtr> input = open_input(path);
  if (!input) return input.fault();
  const int found = avformat_find_stream_info(input->get(), nullptr);
  if (found < 0) {
    return file_fault(path, fmt::format("not a readable video ({})", ffmpeg_reason(found)));
  }
  const int chosen = choose_stream(**input);
  if (chosen < 0) return file_fault(path, "there is no video stream in it");
  if (auto fault = cut_off(path, **input, (*input)->streams[chosen])) return *std::move(fault);
  for (unsigned i = 0; i < (*input)->nb_streams; ++i) {
    if (static_cast<int>(i) != chosen) (*input)->streams[i]->discard = AVDISCARD_ALL;
  }
  return Demuxer(std::move(*input), chosen);
}

AVRational Demuxer::frame_rate() const {
  const AVStream& chosen = stream();
  for (const AVRational rate : {chosen.avg_frame_rate, chosen.r_frame_rate}) {
    if (rate.num > 0 && rate.den > 0) return rate;
  }
  return kUnknownRate;
}

int64_t Demuxer::nominal_duration() const {
  return std::max<int64_t>(1, av_rescale_q(1, av_inv_q(frame_rate()), stream().time_base));
}

double Demuxer::announced_duration() const {
  // What FFmpeg reckons from the bit rate is no claim of the file.
  if (input_->duration_estimation_method != AVFMT_DURATION_FROM_STREAM) return 0;
  double seconds = 0;  // the shorter: the container's may be the sound's, the stream's is unedited
  if (input_->duration > 0) seconds = static_cast<double>(input_->duration) / AV_TIME_BASE;
  if (stream().duration <= 0) return seconds;
  const double of_stream = static_cast<double>(stream().duration) * av_q2d(stream().time_base);
  return seconds > 0 ? std::min(seconds, of_stream) : of_stream;
}

bool Demuxer::read(AVPacket& packet) {
  int errors = 0;
  while (errors < kMaxErrors) {
    av_packet_unref(&packet);
    const int result = av_read_frame(input_.get(), &packet);
    if (result == AVERROR_EOF) return false;
    if (result < 0) {
      ++errors;
    } else if (packet.stream_index == stream_index_) {
      return true;
    }
  }
  return false;
}

core::Result<Decoder> Decoder::open(const fs::path& path, Damage damage) {
  core::Result<Demuxer> demuxer = Demuxer::open(path);
  if (!demuxer) return demuxer.fault();
  core::Result<CodecPtr> codec = open_codec(path, demuxer->stream(), damage);
  if (!codec) return codec.fault();
  return Decoder(std::move(*demuxer), std::move(*codec));
}

Decoder::Decoder(Demuxer demuxer, CodecPtr codec)
    : demuxer_(std::move(demuxer)), codec_(std::move(codec)), packet_(make_packet()) {}

bool Decoder::next(AVFrame& picture) {
  for (int errors = 0; errors < kMaxErrors;) {
    const int result = avcodec_receive_frame(codec_.get(), &picture);
    if (result == 0) return true;
    if (result == AVERROR_EOF) return false;
    if (result == AVERROR(EAGAIN)) {
      feed();
      errors = 0;
    } else {
      ++errors;  // about one packet: the next may be good
    }
  }
  return false;
}

void Decoder::feed() {
  const bool more = demuxer_.read(*packet_);
  // An error here is about this packet too, and nothing can be done for it.
  static_cast<void>(avcodec_send_packet(codec_.get(), more ? packet_.get() : nullptr));
}

}  // namespace streamo::video
