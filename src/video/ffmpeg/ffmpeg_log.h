// What FFmpeg says about a file, said in our log, once.
//
// FFmpeg prints by itself, from any depth, and does not say which file it means: a training over
// damaged clips drowns in "mmco: unref short failure". Here it prints nothing. Each file gathers
// what was said about it; at its end one warning names the file, the first messages and how many
// more there were. At most kMaxFilesReported files a process are reported, each once.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace streamo::video {

inline constexpr size_t kMessagesReported = 3;  // of a file, the others are counted
inline constexpr int kMaxFilesReported = 20;

class FfmpegLog {
 public:
  explicit FfmpegLog(std::string file) : file_(std::move(file)) {}
  ~FfmpegLog();  // reports
  FfmpegLog(const FfmpegLog&) = delete;
  FfmpegLog& operator=(const FfmpegLog&) = delete;

  void add(std::string message);
  void add_uncited(int64_t count) { count_ += count; }
  const std::string& last() const { return last_; }
  // Nothing to report: a Fault has told it.
  void dismiss() { count_ = 0; }
  // "clip.mp4: FFmpeg reports: A; B; and 7 more"; empty when nothing was said.
  std::string summary() const;

  // As long as it lives, the errors that FFmpeg tells this thread go to `log`. We use one FFmpeg
  // thread a file, so these are about the file it is reading.
  class Scope {
   public:
    explicit Scope(FfmpegLog& log);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    FfmpegLog* outer_;
  };

 private:
  std::string file_, last_;
  std::vector<std::string> first_;
  int64_t count_ = 0;
};

// In a decoder process, which has no log: `listener` hears what is said about any file.
void set_ffmpeg_listener(std::function<void(const std::string&)> listener);

// "moov atom not found: Invalid data found when processing input": the last message of the
// thread's Scope, and the meaning of `error_code` (negative, as FFmpeg's functions return it).
std::string ffmpeg_reason(int error_code);

}  // namespace streamo::video
