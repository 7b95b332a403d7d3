// Whitelists of protocols, formats and codecs, limits on what headers claim, and the choice of the
// video stream.
#include "video/ffmpeg/input.h"

extern "C" {
#include <libavutil/dict.h>
#include <libavutil/mem.h>
}

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "core/io/system_error.h"
#include "core/url.h"
#include "video/ffmpeg/mp4_limits.h"
#include "video/ffmpeg/supported_formats.h"
#include "video/ffmpeg/verified_tls.h"

namespace streamo::video {
namespace fs = std::filesystem;
namespace {

// What a URL may lead to. Nothing that reads files of this machine: no file, concat, subfile,
// pipe, unix.
constexpr const char* kNetworkProtocols =
    "http,https,tls,tcp,udp,udplite,rtp,rtsp,rtsps,srtp,rtmp,rtmps,rtmpt,rtmpts,rtmpe,rtmpte,srt,"
    "rist,ftp,sftp,mmsh,mmst,httpproxy,crypto,data";
constexpr const char* kNoProtocol = "none";
constexpr const char* kPipes = "pipe";

// Standard input, a named pipe or a device, opened; none for files and URLs. FFmpeg gets nothing
// but the descriptor.
core::Result<std::optional<FileDescriptor>> open_pipe(const fs::path& source, Reading reading) {
  std::optional<FileDescriptor> none;
  if (reading == Reading::kTwice || core::is_url(source)) return none;
  if (source == "-") return std::optional(FileDescriptor(::dup(STDIN_FILENO)));
  std::error_code error;
  const fs::file_status status = fs::status(core::local_file(source), error);
  if (!fs::is_fifo(status) && !fs::is_character_file(status)) return none;
  FileDescriptor pipe(::open(core::local_file(source).c_str(), O_RDONLY | O_CLOEXEC));
  if (!pipe) return file_fault(source, std::generic_category().message(errno));
  return std::optional(std::move(pipe));
}

class Options {
 public:
  Options() = default;
  ~Options() { av_dict_free(&entries_); }
  Options(const Options&) = delete;
  Options& operator=(const Options&) = delete;

  void set(const char* key, const std::string& value) {
    av_dict_set(&entries_, key, value.c_str(), 0);
  }
  AVDictionary** get() { return &entries_; }

 private:
  AVDictionary* entries_ = nullptr;
};

// A server that is busy for a moment, or a connection that breaks: tried again at once, after 1 s
// and after 3 s. What it does not have stays missing at once.
void retry_what_may_pass(Options& options) {
  options.set("reconnect", "1");
  options.set("reconnect_on_http_error", "5xx");
  options.set("reconnect_delay_max", "4");
}

InputPtr make_context(FileWatch& watch) {
  static std::once_flag limited;
  std::call_once(limited, [] { av_max_alloc(kMaxAllocation); });
  InputPtr context(avformat_alloc_context());
  if (!context) throw std::bad_alloc();
  context->interrupt_callback = {TimeLimit::interrupt, &watch.limit};
  context->max_streams = kMaxStreams;
  return context;
}

core::Fault unreadable(const fs::path& path, int error) {
  return file_fault(path, fmt::format("not a readable video ({})", ffmpeg_reason(error)));
}

// A header that claims pictures too large: before FFmpeg decodes some to find out more.
std::optional<core::Fault> oversized(const fs::path& path, const AVStream& stream,
                                     int64_t max_pixels) {
  const AVCodecParameters& codec = *stream.codecpar;
  if (int64_t{codec.width} * codec.height <= max_pixels) return std::nullopt;
  return file_fault(path, fmt::format("pictures of {}x{} pixels cannot be used (at most {} in all)",
                                      codec.width, codec.height, max_pixels));
}

// All streams: twice what is allowed of the one that is read.
core::Fault unsupported(const fs::path& path, const std::string& what, const char* name) {
  return file_fault(path, fmt::format("its {}, {}, is not among those that are read "
                                      "(docs/data.md); convert it, to H.264 in MP4, say",
                                      what, name));
}

// Why a file cannot be opened: FFmpeg does not say which format it has found and not been allowed.
core::Fault not_opened(const FileWatch& watch, const FileSource* source, int error) {
  const fs::path& path = watch.path;
  // FFmpeg returns "out of memory" for it, and only its message tells.
  if (watch.log.summary().find("max_streams") != std::string::npos) {
    return file_fault(path, fmt::format("it claims more than the {} streams allowed", kMaxStreams));
  }
  const FileSource::Bytes bytes = source == nullptr ? nullptr : source->open();
  const AVInputFormat* format = nullptr;
  if (bytes) av_probe_input_buffer(bytes.get(), &format, source->url().c_str(), nullptr, 0, 0);
  if (format != nullptr && !is_supported(*format, /*of_network=*/false))
    return unsupported(path, "format", format->name);
  return unreadable(path, error);
}

std::optional<core::Fault> too_many_packets(const fs::path& path) {
  const int64_t claimed = claimed_packets(core::local_file(path));
  if (claimed <= 2 * kMaxPackets) return std::nullopt;
  return file_fault(path, fmt::format("it claims {} packets, more than the {} allowed", claimed,
                                      2 * kMaxPackets));
}

// FFmpeg decodes some pictures to find out what the container does not tell.
int find_stream_info(AVFormatContext& context, int64_t max_pixels) {
  std::vector<AVDictionary*> entries(context.nb_streams, nullptr);
  for (AVDictionary*& entry : entries) av_dict_set_int(&entry, "max_pixels", max_pixels, 0);
  const int found = avformat_find_stream_info(&context, entries.data());
  for (AVDictionary*& entry : entries) av_dict_free(&entry);
  return found;
}

// -1: none.
int best_stream(const AVFormatContext& input) {
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

// A video is read twice, from its first to its last second: first its times, then its pictures.
std::optional<core::Fault> endless(const fs::path& path, const AVFormatContext& input) {
  if (input.duration != AV_NOPTS_VALUE || avio_size(input.pb) >= 0) return std::nullopt;
  return file_fault(path,
                    "it tells neither its length nor its size: a live stream has no end to "
                    "read to");
}

}  // namespace

std::optional<core::Fault> missing_content(const fs::path& source) {
  if (core::is_url(source)) return std::nullopt;
  const fs::path path = core::local_file(source);
  struct stat status = {};
  if (core::system_call("video.stat", [&] { return ::stat(path.c_str(), &status); }) != 0) {
    core::throw_if_of_the_machine(errno, "cannot be read", path.string());
    return file_fault(path, std::generic_category().message(errno));
  }
  if (S_ISDIR(status.st_mode)) return file_fault(path, "this is a folder, not a file");
  if (!S_ISREG(status.st_mode)) {
    return file_fault(path, "this is a pipe or a device, not a file: it cannot be read twice");
  }
  if (status.st_size == 0) return file_fault(path, "the file is empty (0 bytes)");
  return std::nullopt;
}

core::Result<Input> Input::open(const std::shared_ptr<FileWatch>& watch, int64_t max_pixels,
                                Reading reading) {
  const fs::path& path = watch->path;
  core::Result<std::optional<FileDescriptor>> opened_pipe = open_pipe(path, reading);
  if (!opened_pipe) return opened_pipe.fault();
  std::optional<FileDescriptor> pipe = *std::move(opened_pipe);
  if (!pipe) {
    if (auto fault = missing_content(path)) return *std::move(fault);
  }
  const bool is_local = !pipe && !core::is_url(path);
  InputPtr context = make_context(*watch);
  std::unique_ptr<FileSource> source;
  Options options;
  options.set("protocol_whitelist", pipe ? kPipes : is_local ? kNoProtocol : kNetworkProtocols);
  options.set("format_whitelist", supported_formats(core::is_url(path)));
  options.set("codec_whitelist", supported_decoders());
  if (core::is_url(path)) retry_what_may_pass(options);
  options.set("pattern_type", "none");  // "shot_%03d.jpg" is one file's name
  if (!pipe && !is_local) {
    if (auto fault = unverifiable(path)) return *std::move(fault);
    verify_servers(*context, options.get());
  }
  std::string url = pipe ? fmt::format("pipe:{}", pipe->get()) : path.string();
  if (is_local) {
    if (auto fault = too_many_packets(path)) return *std::move(fault);
    source = std::make_unique<FileSource>(core::local_file(path).string(), *watch);
    const int attached = source->attach(*context);
    if (attached < 0) return unreadable(path, attached);
    url = source->url();
  }
  AVFormatContext* opened = context.release();  // freed by FFmpeg when it cannot be opened
  const int result = avformat_open_input(&opened, url.c_str(), nullptr, options.get());
  if (result < 0) return not_opened(*watch, source.get(), result);
  Input input(watch, std::move(source), InputPtr(opened));
  input.pipe_ = std::move(pipe);
  if (auto fault = input.choose_stream(max_pixels, reading)) return *std::move(fault);
  return input;
}

std::optional<core::Fault> Input::choose_stream(int64_t max_pixels, Reading reading) {
  const fs::path& path = watch_->path;
  for (unsigned i = 0; i < context_->nb_streams; ++i) {
    if (auto fault = oversized(path, *context_->streams[i], max_pixels)) return fault;
  }
  const int found = find_stream_info(*context_, max_pixels);
  if (found < 0) return unreadable(path, found);
  stream_index_ = best_stream(*context_);
  if (stream_index_ < 0) return file_fault(path, "there is no video stream in it");
  AVStream* chosen = context_->streams[stream_index_];
  const AVCodec* decoder = avcodec_find_decoder(chosen->codecpar->codec_id);
  if (decoder != nullptr && !is_supported(*decoder))
    return unsupported(path, "codec", avcodec_get_name(chosen->codecpar->codec_id));
  if (auto fault = oversized(path, *chosen, max_pixels)) return fault;
  if (reading == Reading::kTwice && core::is_url(path)) {
    if (auto fault = endless(path, *context_)) return fault;
  }
  if (reading == Reading::kTwice) {
    if (auto fault = cut_off(path, *context_, chosen)) return fault;
  }
  for (unsigned i = 0; i < context_->nb_streams; ++i) {
    if (static_cast<int>(i) != stream_index_) context_->streams[i]->discard = AVDISCARD_ALL;
  }
  return std::nullopt;
}

}  // namespace streamo::video
