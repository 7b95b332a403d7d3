// Decoding in processes of its own: the same pictures as on threads (truth: those), and what a file
// that crashes, stops or eats memory there does to others: nothing.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <random>

#include "streamo/core/error.h"
#include "support/numbered_clip.h"
#include "support/sample_both_ways.h"
#include "video/image/picture.h"
#include "video/worker/decode_in_processes.h"
#include "video/worker/decoder_messages.h"
#include "video/worker/sandbox.h"

namespace streamo::video {
namespace {
namespace fs = std::filesystem;
using testing::EndsWith;
using testing::HasSubstr;

class DecoderProcessTest : public testing::Test {
 protected:
  DecoderProcessTest() {
    fs::create_directories(folder_);
    good_ = test::make_clip(folder_ / "good.mp4", {.frames = 60});
    bad_ = folder_ / "bad.mp4";
    fs::copy(good_, bad_);
  }
  ~DecoderProcessTest() override {
    decode_in_processes({});
    ::unsetenv("STREAMO_FAULT");
    fs::remove_all(folder_);
  }

  // What is said of bad.mp4, and that good.mp4 has its pictures before and after.
  std::string reason_with(const std::string& fault, double seconds = 60) {
    decode_in_processes({});  // those that are there know nothing of this fault
    ::setenv("STREAMO_FAULT", fault.c_str(), 1);
    decode_in_processes(STREAMO_DECODER);
    EXPECT_TRUE(sample_video(good_, {}));
    const auto frames = sample_video(bad_, {.time_limit = seconds});
    const auto others = sample_video(good_, {});
    EXPECT_TRUE(others) << others.reason();
    return frames ? "no fault" : frames.reason();
  }

  const fs::path folder_ =
      fs::path(testing::TempDir()) / fmt::format("decoder-process-{}", ::getpid());
  fs::path good_, bad_;
};

TEST_F(DecoderProcessTest, WhatCrashesIsOneBadFile) {
  EXPECT_EQ(reason_with("decode.bad.mp4:1:segv"),
            bad_.string() + ": its decoder crashed (SIGSEGV)");
  EXPECT_EQ(reason_with("decode.bad.mp4:2:abort"),
            bad_.string() + ": its decoder crashed (SIGABRT)");
  EXPECT_THAT(reason_with("decode.bad.mp4:3:kill"), HasSubstr("its decoder was killed (SIGKILL"));
  EXPECT_EQ(reason_with("decode.bad.mp4:1:exit"), bad_.string() + ": its decoder ended with 70");
}

TEST_F(DecoderProcessTest, WhatStandsStillIsEnded) {
  const auto begin = std::chrono::steady_clock::now();
  for (const char* action : {"hang", "spin"}) {
    EXPECT_EQ(reason_with(std::string("decode.bad.mp4:2:") + action, 0.2),
              bad_.string() + ": it did not get on for 0.2 s and was given up");
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

TEST_F(DecoderProcessTest, MemoryWithoutEndIsOneBadFile) {
  if (!kMemoryIsLimited) GTEST_SKIP() << "the address sanitizer needs it";
  EXPECT_EQ(reason_with("decode.bad.mp4:1:allocate"),
            bad_.string() + ": its decoder needs more than the 4 GB of memory that it is given");
}

TEST_F(DecoderProcessTest, ReadsPicturesToo) {
  const fs::path picture = folder_ / "picture.png";
  test::run_or_throw("ffmpeg -v error -f lavfi -i testsrc=s=320x200 -frames:v 1 " +
                     picture.string());
  const auto here = read_picture(picture, PixelLimits{});
  decode_in_processes(STREAMO_DECODER);
  const auto there = read_picture(picture, PixelLimits{});
  ASSERT_TRUE(here && there);
  EXPECT_EQ(there->size, here->size);
  EXPECT_EQ(there->rgb, here->rgb);
  EXPECT_EQ(*picture_size(picture), (FrameSize{200, 320}));
  const auto missing = read_picture(folder_ / "none.png", {});
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.reason(), EndsWith("No such file or directory"));
}

// Two at once, in turns.
TEST_F(DecoderProcessTest, EachOpenFileHasItsOwn) {
  decode_in_processes(STREAMO_DECODER);
  auto one = FrameSampler::open(good_, {}), other = FrameSampler::open(bad_, {.fps = 2.0});
  ASSERT_TRUE(one && other);
  const auto number = [](FrameSampler& sampler) {
    auto frame = sampler.next();
    return frame && *frame ? test::read_number((*frame)->size, (*frame)->rgb) : -1;
  };
  EXPECT_EQ(number(*one), 0);
  EXPECT_EQ(number(*other), 0);
  EXPECT_EQ(number(*one), 25);
  EXPECT_EQ(number(*other), 12);
}

// FFmpeg's complaints are told by this program, as those of its threads.
TEST_F(DecoderProcessTest, WhatFfmpegSaysIsHeard) {
  std::string bytes;
  {
    std::ifstream in(good_, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  for (size_t i = bytes.size() / 3; i < bytes.size() / 2; ++i) bytes[i] = static_cast<char>(i * 7);
  std::ofstream(bad_, std::ios::binary) << bytes;
  const auto said = [&](const fs::path& path) {
    testing::internal::CaptureStderr();
    static_cast<void>(sample_video(path, {}));
    return testing::internal::GetCapturedStderr();
  };
  const std::string here = said(bad_);
  fs::copy(bad_, folder_ / "bax.mp4");  // each file is reported once
  decode_in_processes(STREAMO_DECODER);
  std::string there = said(folder_ / "bax.mp4");
  EXPECT_THAT(there, HasSubstr("FFmpeg reports"));
  there.replace(there.find("bax"), 3, "bad");
  EXPECT_EQ(there, here);
}

TEST_F(DecoderProcessTest, AProgramThatCannotBeStartedIsTheMachinesTrouble) {
  for (const char* program : {"/nowhere/streamo-decoder", "/bin/true"}) {
    decode_in_processes(program);
    try {
      static_cast<void>(sample_video(good_, {}));
      ADD_FAILURE() << program;
    } catch (const core::Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("data.decoder"));
    }
  }
}

TEST(DecoderMessages, WhatMakesNoSenseIsNotBelieved) {
  const std::string sound =
      encode(DecoderReply{.kind = DecoderReply::Kind::kFault, .reason = "why", .said = {"a", "b"}});
  const DecoderReply back = decode_reply(sound);
  EXPECT_EQ(back.reason, "why");
  EXPECT_EQ(back.said, (std::vector<std::string>{"a", "b"}));
  for (size_t size = 0; size < sound.size(); ++size) {
    try {
      decode_reply(sound.substr(0, size));
    } catch (const std::runtime_error&) {
    }
  }
  std::mt19937 random(1);  // NOLINT: the same each time
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = sound;
    for (int flips = 0; flips < 3; ++flips)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    try {
      decode_reply(bytes);
    } catch (const std::runtime_error&) {
    }
  }
}

// The number of the first thing that was possible and should not be; 0: none.
int what_is_possible(int readable) {
  char byte = 0;
  if (!enter_sandbox(int64_t{1} << 30)) return 1;
  if (::open("/etc/passwd", O_RDONLY) >= 0) return 2;
  if (::open("/tmp/streamo-sandbox", O_WRONLY | O_CREAT, 0600) >= 0) return 3;
  if (::socket(AF_INET, SOCK_STREAM, 0) >= 0) return 4;
  if (::fork() >= 0) return 5;
  if (::execl("/bin/false", "false", nullptr) == 0) return 6;
  if (::kill(::getppid(), 0) == 0) return 7;
  if (::unlink("/tmp/streamo-none") == 0 || errno != EPERM) return 8;
  rlimit more{RLIM_INFINITY, RLIM_INFINITY};
  if (::setrlimit(RLIMIT_AS, &more) == 0) return 9;
  if (::pread(readable, &byte, 1, 0) != 1) return 10;  // what it was given
  void* memory = ::mmap(nullptr, size_t{2} << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED || !kMemoryIsLimited ? 0 : 11;
}

TEST(Sandbox, LeavesComputingAndWhatWasGiven) {
  const int readable = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  EXPECT_EXIT(std::_Exit(what_is_possible(readable)), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(
      {
        enter_sandbox(int64_t{1} << 30);
        std::abort();
      },
      testing::KilledBySignal(SIGABRT), "");
}

}  // namespace
}  // namespace streamo::video
