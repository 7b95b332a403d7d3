// A global FFmpeg callback that routes messages to the log object of the calling thread.
#include "video/ffmpeg/ffmpeg_log.h"

extern "C" {
#include <libavutil/error.h>
#include <libavutil/log.h>
}

#include <algorithm>
#include <array>
#include <cstdarg>
#include <mutex>
#include <set>
#include <utility>

#include "core/log.h"
#include "core/url.h"

namespace streamo::video {
namespace {

constexpr int kMaxMessage = 512;

thread_local FfmpegLog* log_of_thread = nullptr;  // NOLINT: FFmpeg calls back without an argument

std::function<void(const std::string&)>& global_listener() {
  static std::function<void(const std::string&)> listener;
  return listener;
}

void take_message(void* /*context*/, int level, const char* format, va_list arguments) {
  if (level > AV_LOG_ERROR || log_of_thread == nullptr) return;
  std::array<char, kMaxMessage> line{};
  int print_prefix = 1;
  // Without the context: its name would be "mov,mp4,m4a @ 0x55d0...", which says nothing to a
  // reader.
  av_log_format_line2(nullptr, level, format, arguments, line.data(), kMaxMessage, &print_prefix);
  std::string text = line.data();
  while (!text.empty() && (text.back() == '\n' || text.back() == '.')) text.pop_back();
  if (!text.empty()) log_of_thread->add(core::redact(text));
}

void report(const std::string& file, const std::string& summary) {
  static std::mutex mutex;
  static std::set<std::string> reported;
  const std::lock_guard lock(mutex);
  if (reported.size() > kMaxFilesReported || !reported.insert(file).second) return;
  if (reported.size() > kMaxFilesReported) {
    core::log_warning("FFmpeg reports errors in more than {} files; the others are not listed",
                      kMaxFilesReported);
  } else {
    core::log_warning("{}", summary);
  }
}

}  // namespace

FfmpegLog::~FfmpegLog() {
  if (count_ > 0) report(file_, summary());
}

void FfmpegLog::add(std::string message) {
  ++count_;
  if (global_listener()) global_listener()(message);
  last_ = std::move(message);
  if (first_.size() < kMessagesReported &&
      std::find(first_.begin(), first_.end(), last_) == first_.end()) {
    first_.push_back(last_);
  }
}

void set_ffmpeg_listener(std::function<void(const std::string&)> listener) {
  global_listener() = std::move(listener);
}

std::string FfmpegLog::summary() const {
  if (count_ == 0) return {};
  std::string text = core::redact_source(file_) + ": FFmpeg reports: ";
  for (const std::string& message : first_) text += message + "; ";
  const int64_t more = count_ - static_cast<int64_t>(first_.size());
  if (more > 0) return text + fmt::format("and {} more", more);
  return text.substr(0, text.size() - 2);
}

FfmpegLog::Scope::Scope(FfmpegLog& log) : outer_(log_of_thread) {
  static std::once_flag installed;
  std::call_once(installed, [] { av_log_set_callback(take_message); });
  log_of_thread = &log;
}

FfmpegLog::Scope::~Scope() {
  log_of_thread = outer_;
}

std::string ffmpeg_reason(int error_code) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> meaning{};
  av_strerror(error_code, meaning.data(), meaning.size());
  if (log_of_thread == nullptr || log_of_thread->last().empty()) return meaning.data();
  return log_of_thread->last() + ": " + meaning.data();
}

}  // namespace streamo::video
