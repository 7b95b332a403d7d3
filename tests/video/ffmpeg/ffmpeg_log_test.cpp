// What FFmpeg says is told once, under the file's name. Truth: the messages given.
#include "video/ffmpeg/ffmpeg_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

extern "C" {
#include <libavutil/error.h>
#include <libavutil/log.h>
}

#include <algorithm>

namespace streamo::video {
namespace {

using testing::HasSubstr;
using testing::Not;

// A FfmpegLog's life, and what it prints.
std::string printed(const std::string& file, int messages, bool dismiss = false) {
  testing::internal::CaptureStderr();
  {
    FfmpegLog log(file);
    const FfmpegLog::Scope scope(log);
    for (int i = 0; i < messages; ++i) {
      av_log(nullptr, AV_LOG_ERROR, "mmco: unref short failure\n");
      av_log(nullptr, AV_LOG_WARNING, "a mere warning\n");
    }
    if (dismiss) log.dismiss();
  }
  return testing::internal::GetCapturedStderr();
}

TEST(FfmpegLog, TellsTheFirstMessagesAndCountsTheOthers) {
  FfmpegLog log("clip.mp4");
  EXPECT_EQ(log.summary(), "");
  log.add("one");
  EXPECT_EQ(log.summary(), "clip.mp4: FFmpeg reports: one");
  for (const char* message : {"one", "two", "three", "four"}) log.add(message);
  EXPECT_EQ(log.summary(), "clip.mp4: FFmpeg reports: one; two; three; and 2 more");
  EXPECT_EQ(log.last(), "four");
  log.dismiss();
}

TEST(FfmpegLog, PrintsEachFileOnce) {
  EXPECT_EQ(printed("a.mp4", 40),
            "warning: a.mp4: FFmpeg reports: mmco: unref short failure; and 39 more\n");
  EXPECT_EQ(printed("a.mp4", 40), "");
  EXPECT_EQ(printed("b.mp4", 0), "");
  EXPECT_EQ(printed("c.mp4", 1, /*dismiss=*/true), "");
}

TEST(FfmpegLog, DoesNotFlood) {
  std::string all;
  for (int i = 0; i < 100; ++i) all += printed("flood-" + std::to_string(i), 1);
  EXPECT_LE(std::count(all.begin(), all.end(), '\n'), kMaxFilesReported + 1);
  EXPECT_THAT(all, HasSubstr("errors in more than 20 files; the others are not listed"));
}

TEST(FfmpegLog, LeavesOutSecrets) {
  FfmpegLog log("http://h/a?token=secret");
  {
    const FfmpegLog::Scope scope(log);
    av_log(nullptr, AV_LOG_ERROR, "%s: not found\n", "http://me:secret@h/a?token=secret");
    EXPECT_THAT(ffmpeg_reason(AVERROR(ENOENT)), Not(HasSubstr("secret")));
    EXPECT_THAT(ffmpeg_reason(AVERROR(ENOENT)), HasSubstr("No such file"));
  }
  EXPECT_THAT(log.summary(), Not(HasSubstr("secret")));
  EXPECT_THAT(log.summary(), HasSubstr("http://***@h/a?***"));
  log.dismiss();
}

TEST(FfmpegLog, TakesTheMessagesOfItsScopeOnly) {
  FfmpegLog outer("outer"), inner("inner");
  const FfmpegLog::Scope outer_scope(outer);
  {
    const FfmpegLog::Scope inner_scope(inner);
    av_log(nullptr, AV_LOG_ERROR, "of the inner\n");
  }
  av_log(nullptr, AV_LOG_ERROR, "of the outer.\n");
  EXPECT_EQ(inner.last(), "of the inner");
  EXPECT_EQ(outer.last(), "of the outer");
  outer.dismiss();
  inner.dismiss();
}

}  // namespace
}  // namespace streamo::video
