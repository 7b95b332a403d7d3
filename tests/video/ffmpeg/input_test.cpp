// Files that cannot be used, and sources that are no files. Truth: docs/data.md, "Damaged and
// hostile input"; each message is given in full. No case takes more than 2 s.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iterator>

#include "core/url.h"
#include "streamo/video/sampler.h"
#include "support/http_file_server.h"
#include "support/numbered_clip.h"
#include "video/image/picture.h"
#include "video/worker/decode_in_processes.h"

namespace streamo::video {
namespace {
namespace fs = std::filesystem;
using test::HttpFileServer;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

std::string read_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string big_endian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 255U);
  return bytes;
}

class InputTest : public testing::Test {
 protected:
  InputTest() {
    folder_ = fs::path(testing::TempDir()) / fmt::format("streamo-input-{}", ::getpid());
    fs::create_directories(folder_);
  }
  ~InputTest() override { fs::remove_all(folder_); }

  fs::path clip(const std::string& name, const test::ClipRecipe& recipe = {.frames = 50}) {
    return test::make_clip(folder_ / name, recipe);
  }
  fs::path write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }
  // A sound MP4 file with `bytes` put at `offset` behind the first mention of `box`.
  fs::path patched(const std::string& name, const std::string& box, size_t offset,
                   const std::string& bytes) {
    std::string whole = read_bytes(clip("sound.mp4"));
    // The type of file at its beginning names codecs, too.
    whole.replace(whole.find(box, whole.find("moov")) + 4 + offset, bytes.size(), bytes);
    return write(name, whole);
  }

  // What is wrong with the file, without its folder, told within 2 s.
  std::string reason_of(const fs::path& path, const SampleOptions& options = {}) {
    const auto begin = std::chrono::steady_clock::now();
    const auto frames = sample_video(path, options);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2)) << path;
    expect_same_elsewhere(path, options, frames ? "" : frames.reason());
    if (frames) return "no fault";
    const std::string prefix = folder_.string() + "/";
    return frames.reason().starts_with(prefix) ? frames.reason().substr(prefix.size())
                                               : frames.reason();
  }

  // A process that decodes says the same, and needs 1 GB for it at most.
  static void expect_same_elsewhere(const fs::path& path, const SampleOptions& options,
                                    const std::string& reason) {
    if (core::is_url(path)) return;
    decode_in_processes(STREAMO_DECODER);
    const auto frames = sample_video(path, options);
    decode_in_processes({});  // ends it
    EXPECT_EQ(frames ? "" : frames.reason(), reason);
    rusage used{};
    ::getrusage(RUSAGE_CHILDREN, &used);
    EXPECT_LE(used.ru_maxrss, 1 << 20) << path;  // KiB, of the largest child so far
  }

  fs::path folder_;
};

std::vector<int> numbers_of(const fs::path& path) {
  const auto frames = sample_video(path, {});
  EXPECT_TRUE(frames) << frames.reason();
  std::vector<int> numbers;
  if (!frames) return numbers;
  for (const Frame& frame : *frames) numbers.push_back(test::read_number(frame.size, frame.rgb));
  return numbers;
}

TEST_F(InputTest, RefusesWhatIsNoFileWithoutWaitingForIt) {
  const fs::path pipe = folder_ / "pipe.mp4";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);  // nobody writes to it
  EXPECT_EQ(reason_of(pipe),
            "pipe.mp4: this is a pipe or a device, not a file: it cannot be read twice");
  EXPECT_EQ(reason_of("/dev/zero"),
            "/dev/zero: this is a pipe or a device, not a file: it cannot be read twice");
  EXPECT_EQ(reason_of(folder_), folder_.string() + ": this is a folder, not a file");
  EXPECT_EQ(reason_of(folder_ / "missing.mp4"), "missing.mp4: No such file or directory");
  EXPECT_FALSE(is_picture_file(pipe));
  EXPECT_FALSE(read_picture(pipe, {}));
}

TEST_F(InputTest, RefusesWhatIsNoVideo) {
  EXPECT_EQ(reason_of(write("empty.mp4", "")), "empty.mp4: the file is empty (0 bytes)");
  EXPECT_EQ(reason_of(write("text.mp4", "this is no video, it is a note\n")),
            "text.mp4: not a readable video (moov atom not found: Invalid data found when "
            "processing input)");
  EXPECT_EQ(reason_of(write("zeros.mp4", std::string(100'000, '\0'))),
            "zeros.mp4: not a readable video (moov atom not found: Invalid data found when "
            "processing input)");
  const fs::path sound = folder_ / "sound.mp4";
  test::run_or_throw("ffmpeg -v error -f lavfi -i sine=d=0.2 " + sound.string());
  EXPECT_EQ(reason_of(sound), "sound.mp4: there is no video stream in it");
}

// Sound as they are: FFmpeg's readers of what nobody records are a way in.
TEST_F(InputTest, RefusesFormatsAndCodecsThatAreNotListed) {
  clip("film.swf", {.frames = 10, .encode = "-c:v flv -r 25"});
  EXPECT_EQ(reason_of(folder_ / "film.swf"),
            "film.swf: its format, swf, is not among those that are read (docs/data.md); convert "
            "it, to H.264 in MP4, say");
  for (const std::string codec : {"zmbv", "asv1", "snow"}) {
    const fs::path film =
        clip(codec + ".avi", {.frames = 10, .encode = "-strict -2 -c:v " + codec});
    EXPECT_EQ(reason_of(film), codec + ".avi: its codec, " + codec +
                                   ", is not among those that are read (docs/data.md); convert "
                                   "it, to H.264 in MP4, say");
  }
}

TEST_F(InputTest, RefusesWhatAHeaderClaims) {
  const std::string width = std::string("\xff\xff\xff\xff", 4);  // and height, 16 bits each
  EXPECT_EQ(reason_of(patched("large.mp4", "stsd", 40, width)),
            "large.mp4: pictures of 65535x65535 pixels cannot be used (at most 35651584 in all)");
  EXPECT_EQ(reason_of(patched("fast.mp4", "mdhd", 12, big_endian(0x7FFFFFFF))),
            "fast.mp4: its pictures follow each other at 4194304 a second, more than the 10000 "
            "allowed: the times in it are probably damaged");
  std::string whole = read_bytes(patched("long.mp4", "mdhd", 12, big_endian(1)));
  whole.replace(whole.find("edts"), 4, "free");  // an edit list would hide what comes after 2 s
  whole.replace(whole.find("stts") + 16, 4, big_endian(4000));
  // 49 steps of 4000 s, and the tick that is left for the last picture: newer FFmpegs give it 4000.
  EXPECT_THAT(reason_of(write("long.mp4", whole)),
              MatchesRegex("long.mp4: it lasts (196001|200000) s, more than the 86400 s allowed: "
                           "the times in it are probably damaged"));
  EXPECT_EQ(reason_of(patched("eternal.mp4", "mvhd", 16, big_endian(0xFFFFFFFF))), "no fault");
}

TEST_F(InputTest, RefusesMoreStreamsAndPacketsThanAnyRecordingHas) {
  std::string moov;
  for (int i = 0; i < 1'000'000; ++i) moov += big_endian(8) + "trak";
  const std::string file = big_endian(16) + "ftypisom" + big_endian(512) +
                           big_endian(static_cast<uint32_t>(moov.size() + 8)) + "moov" + moov;
  EXPECT_EQ(reason_of(write("streams.mp4", file)),
            "streams.mp4: it claims more than the 1000 streams allowed");

  // 30 million packets of one byte each, in one chunk.
  std::string whole = read_bytes(clip("sound.mp4"));
  const auto put = [&](const char* box, size_t offset, uint32_t value) {
    whole.replace(whole.find(box) + 4 + offset, 4, big_endian(value));
  };
  put("stsz", 4, 1);
  put("stsz", 8, 30'000'000);
  put("stsc", 12, 30'000'000);
  put("stts", 8, 30'000'000);
  EXPECT_EQ(reason_of(write("packets.mp4", whole)),
            "packets.mp4: it claims 30000000 packets, more than the 17280000 allowed");
}

TEST_F(InputTest, TakesWhatIsUnusualButSound) {
  const fs::path slow = clip("slow.mkv", {.frames = 2,
                                          .encode = "-vf setpts=N*36000/TB -fps_mode passthrough "
                                                    "-c:v libx264 -preset ultrafast"});
  const auto info = probe(slow, {});
  ASSERT_TRUE(info) << info.reason();
  EXPECT_EQ(info->num_samples, 36001);  // two pictures, 10 hours apart

  std::string changing;  // a picture size each
  for (const int width : {128, 64, 256, 96}) {
    changing += read_bytes(
        clip("one.mjpeg",
             {.frames = 1, .size = {width * 3 / 4, width}, .encode = "-c:v mjpeg -q:v 2 -r 25"}));
  }
  const auto frames = sample_video(write("changing.mjpeg", changing), {.fps = 25.0});
  ASSERT_TRUE(frames) << frames.reason();
  ASSERT_EQ(frames->size(), 4U);
  for (const Frame& frame : *frames) {
    EXPECT_EQ(frame.size, (FrameSize{96, 128}));
    EXPECT_EQ(test::read_number(frame.size, frame.rgb), 0);
  }
}

TEST_F(InputTest, ReadsNothingButTheFile) {
  const fs::path sound = clip("sound.ts");
  HttpFileServer server(sound, HttpFileServer::Manner::kGood);
  const std::string url = fmt::format("http://127.0.0.1:{}/a.ts", server.port());
  const std::string playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n";
  EXPECT_THAT(reason_of(write("net.m3u8", fmt::format(fmt::runtime(playlist), url))),
              StartsWith("net.m3u8: its format, hls, is not among those that are read"));
  EXPECT_EQ(server.requests(), 0);
  EXPECT_THAT(reason_of(write("local.m3u8", fmt::format(fmt::runtime(playlist), "sound.ts"))),
              StartsWith("local.m3u8: its format, hls, is not"));
  EXPECT_THAT(reason_of(write("script.txt", "ffconcat version 1.0\nfile 'sound.ts'\n")),
              StartsWith("script.txt: its format, concat, is not"));
  EXPECT_THAT(reason_of(write("itself.txt", "ffconcat version 1.0\nfile 'itself.txt'\n")),
              StartsWith("itself.txt: its format, concat, is not"));
}

TEST_F(InputTest, ReadsAUrlAsItReadsAFile) {
  for (const char* name : {"front.mp4", "end.mp4", "clip.mkv", "clip.ts"}) {
    SCOPED_TRACE(name);
    const std::string front = std::string(name) == "front.mp4" ? " -movflags +faststart" : "";
    const fs::path path =
        clip(name, {.frames = 60, .encode = "-c:v libx264 -preset ultrafast -bf 2" + front});
    const HttpFileServer server(path, HttpFileServer::Manner::kGood);
    const std::string url =
        fmt::format("http://me:pw@127.0.0.1:{}/{}?token=1", server.port(), name);
    EXPECT_THAT(numbers_of(url), ElementsAre(0, 25, 50));
    EXPECT_GE(server.requests(), 1);
  }
  EXPECT_THAT(numbers_of("file://" + (folder_ / "clip.ts").string()), ElementsAre(0, 25, 50));
}

TEST_F(InputTest, KeepsTheSecretsOfAUrl) {
  const std::string reason = reason_of("http://me:secret@127.0.0.1:1/clip.mp4?token=secret");
  EXPECT_THAT(reason, StartsWith("http://***@127.0.0.1:1/clip.mp4?***: not a readable video ("));
  EXPECT_THAT(reason, EndsWith("Connection refused)"));
  EXPECT_THAT(reason, Not(HasSubstr("secret")));
}

TEST_F(InputTest, DoesNotLetAUrlReachFiles) {
  const fs::path sound = clip("sound.ts");
  for (const std::string& target : {"file://" + sound.string(), sound.string()}) {
    const HttpFileServer server(
        write("list.m3u8",
              "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n" + target + "\n#EXT-X-ENDLIST\n"),
        HttpFileServer::Manner::kGood);
    const std::string url = fmt::format("http://127.0.0.1:{}/list.m3u8", server.port());
    EXPECT_THAT(reason_of(url), StartsWith(url + ": ")) << target;
  }
  EXPECT_THAT(reason_of("concat://" + sound.string()), StartsWith("concat://"));
}

TEST_F(InputTest, GivesUpAServerThatStalls) {
  const fs::path path = clip("clip.ts");
  const HttpFileServer server(path, HttpFileServer::Manner::kStalls);
  const std::string url = fmt::format("http://127.0.0.1:{}/clip.ts", server.port());
  EXPECT_EQ(reason_of(url, {.time_limit = 0.3}),
            url + ": it did not get on for 0.3 s and was given up");
}

TEST_F(InputTest, AsksAServerAgainThatIsBusy) {
  const fs::path path = clip("clip.ts", {.frames = 60});
  const HttpFileServer server(path, HttpFileServer::Manner::kBusy);
  EXPECT_THAT(numbers_of(fmt::format("http://127.0.0.1:{}/clip.ts", server.port())),
              ElementsAre(0, 25, 50));
  EXPECT_GE(server.requests(), 3);
}

TEST_F(InputTest, RefusesAStreamWithoutAnEnd) {
  const fs::path path = clip("clip.ts");
  const HttpFileServer server(path, HttpFileServer::Manner::kEndless);
  const std::string url = fmt::format("http://127.0.0.1:{}/clip.ts", server.port());
  EXPECT_EQ(reason_of(url), url +
                                ": it tells neither its length nor its size: a live stream has "
                                "no end to read to");
}

}  // namespace
}  // namespace streamo::video
