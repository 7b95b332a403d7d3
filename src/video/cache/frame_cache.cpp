// Two kinds of entry: a small fingerprint (path and stat -> content hash and VideoInfo) and the
// frames (content hash and options -> pixels).
#include "video/cache/frame_cache.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include "core/log.h"
#include "video/cache/cache_folder.h"
#include "video/cache/content_hash.h"
#include "video/cache/file_watch.h"
#include "video/cache/frame_entry.h"
#include "video/cache/video_fingerprint.h"
#include "video/ffmpeg/ffmpeg_handles.h"

namespace streamo::video {
namespace fs = std::filesystem;
namespace {

// Raise it when the same file and options give other pixels or samples than before, when VideoInfo
// changes, or when a file of the cache is laid out differently.
constexpr int kVersion = 2;
constexpr int64_t kMostDamageLines = 5;

// The libraries and the processor: FFmpeg's vector code gives the same pixels on all x86-64, but
// not the same as its plain code.
std::string engine() {
  utsname machine = {};
  return fmt::format("version {} avformat {} avcodec {} avutil {} swscale {} machine {}", kVersion,
                     avformat_version(), avcodec_version(), avutil_version(), swscale_version(),
                     ::uname(&machine) == 0 ? machine.machine : "unknown");
}

// The shortest decimal that reads back as the same number.
std::string sampling(const SampleOptions& options) {
  return fmt::format("fps {} phase {}", options.fps, options.phase);
}

std::string note_key(const fs::path& path, const FileState& state, const SampleOptions& options) {
  return fmt::format("note {}\n{}\nbytes {} inode {} modified {} changed {}\n{}\n", engine(),
                     sampling(options), state.bytes, state.inode, state.modified_ns,
                     state.changed_ns, fs::absolute(path).lexically_normal().string());
}

std::string entry_key(const std::string& content, const SampleOptions& options, int jpeg_quality) {
  std::string limits = "none";
  if (options.pixel_limits) {
    limits = fmt::format("{} to {} pixels, sides of {}", options.pixel_limits->min_pixels,
                         options.pixel_limits->max_pixels, options.pixel_limits->factor);
  }
  return fmt::format(
      "frames {}\n{}\nlimits {}\nresize {}\njpeg {}\ncontent {}\n", engine(), sampling(options),
      limits, options.resize == ResizeMode::kExact ? "exact" : "fast", jpeg_quality, content);
}

// Probing is asked without limits: a shape that they refuse is the sampler's to report.
SampleOptions without_limits(SampleOptions options) {
  options.pixel_limits.reset();
  return options;
}

std::string note_name(const std::string& key) {
  return hash_text(key).append(kNoteSuffix);
}
std::string entry_name(const std::string& key) {
  return hash_text(key).append(kFramesSuffix);
}

// What a file is known to be, and the state it was in.
struct Source {
  VideoFingerprint note;
  FileState state;
};

struct Decoded {
  std::vector<Frame> frames;
  std::vector<CodedFrame> jpegs;  // of the frames, when the cache is lossy
  int64_t about_bytes = 0;        // of an entry, at most
};

}  // namespace

struct FrameCache::Impl {
  explicit Impl(FrameCacheOptions given)
      : options(std::move(given)), folder(options.folder, options.max_bytes) {}

  std::optional<Source> noted(const fs::path& path, const SampleOptions& sampling);
  core::Result<std::optional<Source>> source(const fs::path& path, const SampleOptions& sampling);
  std::optional<std::vector<Frame>> stored(const std::string& key);
  core::Result<Decoded> decode(const fs::path& path, const SampleOptions& sampling);
  void store(const std::string& key, const Decoded& decoded);
  void report_damage(const std::string& name, const std::string& reason);

  const FrameCacheOptions options;
  CacheFolder folder;
  std::atomic<int64_t> found{0}, decoded{0}, written{0}, written_bytes{0}, damaged{0}, probed{0};
};

void FrameCache::Impl::report_damage(const std::string& name, const std::string& reason) {
  const int64_t count = ++damaged;
  if (count > kMostDamageLines) return;
  core::log_warning("frame cache: {} is damaged ({}) and is made anew{}", name, reason,
                    count == kMostDamageLines ? "; further ones are not listed" : "");
}

// What is remembered of the file as it is now.
std::optional<Source> FrameCache::Impl::noted(const fs::path& path, const SampleOptions& sampling) {
  const std::optional<FileState> state = file_state(path);
  if (!state) return std::nullopt;
  const std::string key = note_key(path, *state, sampling);
  const FileDescriptor file = folder.open(note_name(key));
  if (!file) return std::nullopt;
  std::optional<VideoFingerprint> note = read_fingerprint(file.get(), key);
  if (!note) {
    report_damage(note_name(key), "its checksum is wrong");
    return std::nullopt;
  }
  return Source{*std::move(note), *state};
}

// nullopt for what is no file, or changed a moment ago: it is not for the cache.
core::Result<std::optional<Source>> FrameCache::Impl::source(const fs::path& path,
                                                             const SampleOptions& sampling) {
  if (auto known = noted(path, sampling)) return known;
  if (options.is_read_only) return std::optional<Source>();
  const std::optional<FileState> state = file_state(path);
  if (!state || !is_settled(*state)) return std::optional<Source>();
  const auto watch = std::make_shared<FileWatch>(path, sampling.time_limit);
  // Hashing reads the whole file, perhaps over a network that hangs, so it is under the time limit.
  const core::Result<ContentHash> hash =
      run_watched<ContentHash>(watch, [watch] { return hash_content(watch->path, watch->limit); });
  // A timeout is the file's fault. Any other failure is left to the decoder, which reports it
  // better.
  if (watch->limit.has_expired()) return hash.fault();
  if (!hash) return std::optional<Source>();
  ++probed;
  core::Result<VideoInfo> info = video::probe(path, without_limits(sampling));
  if (!info) return info.fault();
  // Replaced between hashing and probing, the two would describe different files.
  if (hash->state != state || file_state(path) != state) return std::optional<Source>();
  Source source{{hash->hex, *info}, *state};
  const std::string key = note_key(path, *state, sampling);
  const std::string bytes = write_fingerprint(source.note, key);
  folder.publish(note_name(key), static_cast<int64_t>(bytes.size()),
                 [&](CacheFolder::Output& output) { output.append(bytes); });
  return std::optional<Source>(std::move(source));
}

std::optional<std::vector<Frame>> FrameCache::Impl::stored(const std::string& key) {
  const FileDescriptor file = folder.open(entry_name(key));
  if (!file) return std::nullopt;
  core::Result<std::vector<Frame>> frames = read_entry(file.get(), key);
  if (!frames) {
    report_damage(entry_name(key), frames.reason());
    return std::nullopt;
  }
  return *std::move(frames);
}

// A lossy cache gives the same pixels whether an entry was there, was made, or could not be
// written: a run must not depend on who came first.
core::Result<Decoded> FrameCache::Impl::decode(const fs::path& path,
                                               const SampleOptions& sampling) {
  ++decoded;
  core::Result<std::vector<Frame>> frames = video::sample_video(path, sampling);
  if (!frames) return frames.fault();
  Decoded result{*std::move(frames), {}, 0};
  for (Frame& frame : result.frames) {
    result.about_bytes += static_cast<int64_t>(sizeof(Frame) + frame.rgb.size());
    if (options.jpeg_quality == 0) continue;
    core::Result<CodedFrame> jpeg = code_jpeg(frame.rgb, frame.size, options.jpeg_quality);
    if (!jpeg) return core::Fault{fmt::format("{}: {}", path.string(), jpeg.reason())};
    core::Result<std::vector<uint8_t>> rgb =
        decode_frame(FrameCoding::kJpeg, jpeg->bytes, {}, frame.size);
    STREAMO_CHECK(rgb, "a JPEG of ours cannot be read");
    frame.rgb = *std::move(rgb);
    result.jpegs.push_back(*std::move(jpeg));
  }
  return result;
}

void FrameCache::Impl::store(const std::string& key, const Decoded& decoded) {
  const std::vector<Frame>& frames = decoded.frames;
  const auto code = [&](size_t i) {
    if (!decoded.jpegs.empty()) return decoded.jpegs[i];
    return code_lossless(frames[i].rgb,
                         i == 0 ? std::span<const uint8_t>() : std::span(frames[i - 1].rgb),
                         frames[i].size);
  };
  int64_t bytes = 0;
  const bool published =
      folder.publish(entry_name(key), decoded.about_bytes, [&](CacheFolder::Output& output) {
        // publish() calls this again after making room on a full disk.
        bytes = 0;
        const auto append = [&](std::string_view part) {
          bytes += static_cast<int64_t>(part.size());
          output.append(part);
        };
        write_entry(frames, key, code, append,
                    [&](std::string_view head) { output.overwrite(head); });
      });
  if (!published) return;
  ++written;
  written_bytes += bytes;
}

FrameCache::FrameCache(FrameCacheOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
FrameCache::~FrameCache() = default;

core::Result<VideoInfo> FrameCache::probe(const fs::path& path, const SampleOptions& options) {
  const core::Result<std::optional<Source>> source = impl_->source(path, options);
  if (!source) return source.fault();
  if (*source) return (*source)->note.info;
  return video::probe(path, without_limits(options));
}

core::Result<std::vector<Frame>> FrameCache::sample_video(const fs::path& path,
                                                          const SampleOptions& options) {
  const core::Result<std::optional<Source>> source = impl_->source(path, options);
  if (!source) return source.fault();
  std::string key;
  if (*source) {
    key = entry_key((*source)->note.content, options, impl_->options.jpeg_quality);
    if (auto frames = impl_->stored(key)) {
      ++impl_->found;
      return *std::move(frames);
    }
  }
  core::Result<Decoded> decoded = impl_->decode(path, options);
  if (!decoded) return decoded.fault();
  // A file that changed since its hash was taken has given pixels that are not those of the key.
  if (*source && !impl_->options.is_read_only && !decoded->frames.empty() &&
      file_state(path) == (*source)->state) {
    impl_->store(key, *decoded);
  }
  return std::move(decoded->frames);
}

bool FrameCache::contains(const fs::path& path, const SampleOptions& options) {
  const std::optional<Source> source = impl_->noted(path, options);
  if (!source) return false;
  const std::string key = entry_key(source->note.content, options, impl_->options.jpeg_quality);
  const FileDescriptor file = impl_->folder.open(entry_name(key));
  return file && entry_looks_sound(file.get(), key);
}

FrameCacheCounts FrameCache::counts() const {
  return {.found = impl_->found,
          .decoded = impl_->decoded,
          .written = impl_->written,
          .written_bytes = impl_->written_bytes,
          .damaged = impl_->damaged,
          .probed = impl_->probed};
}

std::string FrameCache::why_not_writing() const {
  return impl_->folder.why_not_writing();
}

}  // namespace streamo::video
