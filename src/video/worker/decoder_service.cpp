// The side of decoder_process.h that runs in the sandbox and that a hostile file may crash, hang or
// take over.
#include "video/worker/decoder_service.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <new>
#include <optional>
#include <utility>

#include "core/io/fault_point.h"
#include "core/url.h"
#include "streamo/core/error.h"
#include "video/cache/file_watch.h"
#include "video/ffmpeg/ffmpeg_log.h"
#include "video/ffmpeg/open_file.h"
#include "video/ffmpeg/time_limit.h"
#include "video/image/picture.h"
#include "video/worker/decode_in_processes.h"
#include "video/worker/decoder_messages.h"
#include "video/worker/sandbox.h"

namespace streamo::video {
namespace fs = std::filesystem;
namespace {

using Kind = DecoderReply::Kind;

constexpr size_t kMaxSaid = 16;  // messages of FFmpeg an answer
// Where the parent is gone and cannot end this process: beyond the limit that it keeps.
constexpr unsigned kAlarm = 10;

class Service {
 public:
  Service() {
    set_ffmpeg_listener([this](const std::string& message) {
      if (said_.size() < kMaxSaid) {
        said_.push_back(message);
      } else {
        ++said_more_;
      }
    });
    run_inline([this] { tell_progress(); });
  }

  void run() {
    for (;;) {
      Received received = receive_message(kDecoderSocket);
      if (received.bytes.empty()) return;
      DecoderRequest request = decode_request(received.bytes);
      if (request.kind == DecoderRequest::Kind::kClose) {
        close();
        continue;
      }
      if (received.file) limit_ = request.options.time_limit;
      set_alarm();
      DecoderReply reply = answer(request, std::move(received.file));
      ::alarm(0);
      reply.reason.resize(std::min(reply.reason.size(), kMaxDecoderMessage / 4));
      reply.said = std::exchange(said_, {});
      reply.said_more = std::exchange(said_more_, 0);
      if (sampler_) reply.counters = sampler_->counters();
      if (!send_message(kDecoderSocket, encode(reply))) return;
    }
  }

 private:
  void set_alarm() const {
    ::alarm(kAlarm + static_cast<unsigned>(std::ceil(std::min(limit_, 1e6))));
  }

  // The parent counts from the last of these; not each is worth a message.
  void tell_progress() {
    const auto now = std::chrono::steady_clock::now();
    if (now - told_ < std::chrono::milliseconds(200)) return;
    told_ = now;
    set_alarm();
    send_message(kDecoderSocket, encode(DecoderReply{.kind = Kind::kProgress}));
  }

  void close() {
    sampler_.reset();
    open_only({}, FileDescriptor());
    static_cast<void>(::ftruncate(kDecoderMemory, 0));
  }

  DecoderReply answer(const DecoderRequest& request, FileDescriptor file) {
    try {
      if (file) {
        close();
        path_ = request.path;
        open_only(core::local_file(path_), std::move(file));
      }
      core::fault_point(("decode." + path_.filename().string()).c_str());
      return decode(request);
    } catch (const std::bad_alloc&) {
      sampler_.reset();
      return {.kind = Kind::kFault,
              .reason = file_fault(path_, fmt::format("its decoder needs more than the {} GB of "
                                                      "memory that it is given",
                                                      kMaxDecoderBytes >> 30))
                            .reason};
    } catch (const core::Error& error) {
      return {.kind = Kind::kError,
              .reason = error.what(),
              .error_kind = static_cast<int32_t>(error.kind())};
    }
  }

  DecoderReply decode(const DecoderRequest& request) {
    switch (request.kind) {
      case DecoderRequest::Kind::kOpen: {
        core::Result<FrameSampler> opened = FrameSampler::open(path_, request.options);
        if (!opened) return fault(opened.fault());
        sampler_.emplace(*std::move(opened));
        return {.kind = Kind::kInfo, .info = sampler_->info()};
      }
      case DecoderRequest::Kind::kNext: {
        if (!sampler_) return fault(file_fault(path_, "its decoder has given it up"));
        core::Result<std::optional<Frame>> frame = sampler_->next();
        if (!frame) return fault(frame.fault());
        if (!*frame) return {.kind = Kind::kEnd};
        return show(**std::move(frame));
      }
      case DecoderRequest::Kind::kPicture: {
        core::Result<Picture> picture = read_picture(path_, request.options.pixel_limits);
        if (!picture) return fault(picture.fault());
        return show({.size = picture->size, .rgb = std::move(picture->rgb)});
      }
      default: {
        const core::Result<FrameSize> size = picture_size(path_);
        if (!size) return fault(size.fault());
        return {.kind = Kind::kSize, .frame = {.size = *size}};
      }
    }
  }

  static DecoderReply fault(const core::Fault& fault) {
    return {.kind = Kind::kFault, .reason = fault.reason};
  }

  static DecoderReply show(Frame frame) {
    size_t done = 0;
    while (done < frame.rgb.size()) {
      const ssize_t written = ::pwrite(kDecoderMemory, frame.rgb.data() + done,
                                       frame.rgb.size() - done, static_cast<off_t>(done));
      if (written <= 0) throw std::bad_alloc();
      done += static_cast<size_t>(written);
    }
    frame.rgb.clear();
    return {.kind = Kind::kFrame, .frame = std::move(frame)};
  }

  std::optional<FrameSampler> sampler_;
  fs::path path_;
  double limit_ = 0;
  std::chrono::steady_clock::time_point told_ = {};
  std::vector<std::string> said_;
  int64_t said_more_ = 0;
};

// When memory runs out, this process goes before the one that trains.
void offer_to_be_killed() {
  const FileDescriptor score(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  static_cast<void>(::write(score.get(), "500", 3));
}

}  // namespace

int serve_decoding() {
  // What the parent's libraries have left open without O_CLOEXEC.
  ::syscall(SYS_close_range, kDecoderMemory + 1, ~0U, 0);
  offer_to_be_killed();
  ::dup2(STDIN_FILENO, STDERR_FILENO);  // whoever takes this process over writes to no terminal
  if (!enter_sandbox(kMaxDecoderBytes)) return kCannotBeConfined;
  if (!send_message(kDecoderSocket, encode(DecoderReply{.kind = Kind::kReady}))) return 0;
  Service().run();
  return 0;
}

}  // namespace streamo::video
