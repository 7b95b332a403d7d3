// The packet loop around FFmpeg's send/receive API: dropping and flushing by the plan, and noticing
// when the plan cannot be trusted.
#include "video/decode/decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <string_view>
#include <utility>

#include "core/io/fault_point.h"

namespace streamo::video {
namespace fs = std::filesystem;
namespace {

constexpr AVRational kUnknownRate{25, 1};
// Errors in a row, out-of-memory among them: a damaged length asks for more than there is. A file
// that can be read on needs a few; the limit is for one that cannot.
constexpr int kMaxErrors = 100;

core::Result<CodecPtr> open_codec(const fs::path& path, const AVStream& stream,
                                  const OpenOptions& options) {
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
  context->max_pixels = options.max_pixels;
  if (options.damage == Damage::kRefuse) context->err_recognition |= AV_EF_CRCCHECK | AV_EF_EXPLODE;
  if (result >= 0) result = avcodec_open2(context.get(), codec, nullptr);
  if (result < 0) {
    return file_fault(path,
                      fmt::format("cannot decode {} ({})", codec->name, ffmpeg_reason(result)));
  }
  return context;
}

}  // namespace

core::Result<Demuxer> Demuxer::open(const std::shared_ptr<FileWatch>& watch, int64_t max_pixels,
                                    Reading reading) {
  core::Result<Input> input = Input::open(watch, max_pixels, reading);
  if (!input) return input.fault();
  return Demuxer(*std::move(input));
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

void Demuxer::note_progress(const AVPacket& packet) {
  const int64_t time = packet.dts != AV_NOPTS_VALUE ? packet.dts : packet.pts;
  if (time != AV_NOPTS_VALUE) {
    const AVRational base = stream().time_base;
    const int64_t second = av_rescale(time, base.num, base.den);
    if (second <= last_second_) return;
    last_second_ = second;
    core::fault_point("video.second");
  }
  input_.watch().limit.renew();
}

double Demuxer::announced_duration() const {
  const AVFormatContext& file = input_.context();
  // What FFmpeg reckons from the bit rate is no claim of the file.
  if (file.duration_estimation_method != AVFMT_DURATION_FROM_STREAM) return 0;
  double seconds = 0;  // the shorter: the container's may be the sound's, the stream's is unedited
  if (file.duration > 0) seconds = static_cast<double>(file.duration) / AV_TIME_BASE;
  if (stream().duration <= 0) return seconds;
  const double of_stream = static_cast<double>(stream().duration) * av_q2d(stream().time_base);
  return seconds > 0 ? std::min(seconds, of_stream) : of_stream;
}

bool Demuxer::read(AVPacket& packet) {
  if (waiting_) {
    av_packet_unref(&packet);
    av_packet_move_ref(&packet, waiting_.get());
    waiting_.reset();
    return true;
  }
  int errors = 0;
  while (errors < kMaxErrors && !is_overlong() && !input_.watch().limit.expired()) {
    av_packet_unref(&packet);
    const int result = av_read_frame(&input_.context(), &packet);
    if (result == AVERROR_EOF) return false;
    ++packets_;
    if (result < 0) {
      ++errors;
    } else if (packet.stream_index == input_.stream_index()) {
      note_progress(packet);
      if (!first_) first_.emplace(packet);
      return true;
    }
  }
  return false;
}

bool Demuxer::rewind() {
  // These have an index. Others seek by guessing, and count times from where they begin to read.
  const std::string_view format = input_.context().iformat->name;
  const bool indexed = format.find("mp4") != std::string_view::npos ||
                       format.find("matroska") != std::string_view::npos;
  if (!indexed || !first_ || first_->pts == AV_NOPTS_VALUE) return false;
  packets_ = 0;
  last_second_ = std::numeric_limits<int64_t>::min();
  if (avformat_seek_file(&input_.context(), input_.stream_index(),
                         std::numeric_limits<int64_t>::min(), first_->pts, first_->pts, 0) < 0) {
    return false;
  }
  PacketPtr packet = make_packet();
  if (!read(*packet) || Identity(*packet) != *first_) return false;
  waiting_ = std::move(packet);
  return true;
}

core::Result<Decoder> Decoder::open(const std::shared_ptr<FileWatch>& watch,
                                    const OpenOptions& options) {
  core::Result<Demuxer> demuxer = Demuxer::open(watch, options.max_pixels);
  if (!demuxer) return demuxer.fault();
  return open(*std::move(demuxer), options);
}

core::Result<Decoder> Decoder::open(Demuxer demuxer, const OpenOptions& options) {
  core::Result<CodecPtr> codec = open_codec(demuxer.path(), demuxer.stream(), options);
  if (!codec) return codec.fault();
  return Decoder(std::move(demuxer), std::move(*codec));
}

Decoder::Decoder(Demuxer demuxer, CodecPtr codec)
    : demuxer_(std::move(demuxer)), codec_(std::move(codec)), packet_(make_packet()) {}

void Decoder::follow(std::vector<Feed> plan) {
  plan_ = std::move(plan);
  // Of sound files, too, decoders complain where pictures were left out: that is no news. Where it
  // is, the file is decoded again, without a plan.
  codec_->log_level_offset = AV_LOG_DEBUG - AV_LOG_ERROR;
}

bool Decoder::next(AVFrame& picture) {
  for (int errors = 0; errors < kMaxErrors;) {
    const int result = avcodec_receive_frame(codec_.get(), &picture);
    if (result == 0) {
      look_at(picture);
      return true;
    }
    if (result == AVERROR_EOF) {
      if (!restarting_) return false;
      restart();
    } else if (result == AVERROR(EAGAIN)) {
      plan_ ? feed_planned() : feed();
      errors = 0;
    } else {
      ++errors;  // about one packet: the next may be good
      in_doubt_ = true;
    }
  }
  return false;
}

void Decoder::feed() {
  bool more = demuxer_.read(*packet_);
  // Theora's packets without content repeat the picture before; to FFmpeg they mean the end.
  while (more && packet_->size == 0) more = demuxer_.read(*packet_);
  if (more) {
    send();
  } else {
    drain();
  }
}

void Decoder::feed_planned() {
  Feed feed = Feed::kDrop;
  while (feed == Feed::kDrop) {
    if (position_ == plan_->size() || !demuxer_.read(*packet_)) {
      drain();
      return;
    }
    feed = (*plan_)[position_++];
  }
  codec_->skip_frame = feed == Feed::kPass ? AVDISCARD_NONREF : AVDISCARD_DEFAULT;
  restarting_ = feed == Feed::kRestart;
  if (restarting_) {
    drain();
  } else {
    send();
  }
}

// Makes the decoder hand out the pictures it still holds.
void Decoder::drain() {
  // H.264 groups that do not begin with an IDR: FFmpeg believes in pictures after a recovery point
  // only once it has handed out that one, and would keep back those decoded before.
  if (plan_) codec_->flags |= AV_CODEC_FLAG_OUTPUT_CORRUPT;
  avcodec_send_packet(codec_.get(), nullptr);
}

void Decoder::restart() {
  avcodec_flush_buffers(codec_.get());
  restarting_ = false;
  group_start_ = packet_->pts;
  send();
}

void Decoder::send() {
  if (codec_->skip_frame == AVDISCARD_DEFAULT) ++packets_fed_;
  // An error here is about this packet, and nothing can be done for it. Pictures shown before the
  // group's beginning may lack references; none of them is wanted.
  const int result = avcodec_send_packet(codec_.get(), packet_.get());
  if (result < 0 && packet_->pts >= group_start_) in_doubt_ = true;
}

void Decoder::look_at(const AVFrame& picture) {
  ++pictures_;
  if (!plan_ || picture.pts < group_start_) return;
  const bool damaged =
      (picture.flags & AV_FRAME_FLAG_CORRUPT) != 0 || picture.decode_error_flags != 0;
  const bool refers = picture.pict_type != AV_PICTURE_TYPE_NONE &&
                      picture.pict_type != AV_PICTURE_TYPE_I &&
                      picture.pict_type != AV_PICTURE_TYPE_SI;
  if (damaged || (picture.pts == group_start_ && refers)) in_doubt_ = true;
}

}  // namespace streamo::video
