// A server that nobody vouches for is not listened to, also where a playlist leads to it. Truth:
// openssl's certificate, trusted once and once not.
#include "video/ffmpeg/verified_tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "core/io/scratch_folder.h"
#include "streamo/video/sampler.h"
#include "support/http_file_server.h"
#include "support/https_server.h"
#include "support/numbered_clip.h"

namespace streamo::video {
namespace {

using testing::HasSubstr;

class VerifiedTls : public testing::Test {
 protected:
  VerifiedTls() { test::make_clip(folder_.path() / "a.mp4", {.frames = 10, .rate = "5"}); }
  ~VerifiedTls() override { ::unsetenv("SSL_CERT_FILE"); }

  const core::ScratchFolder folder_;
};

TEST_F(VerifiedTls, AServerNeedsSomebodyWhoVouchesForIt) {
  const test::HttpsServer server(folder_.path());
  ASSERT_TRUE(server.expired()) << "openssl and python3 are needed";
  ::unsetenv("SSL_CERT_FILE");
  const auto refused = probe(server.url("a.mp4"), {});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.reason(), HasSubstr("not a readable video"));
  ::setenv("SSL_CERT_FILE", server.certificate().c_str(), 1);
  const auto info = probe(server.url("a.mp4"), {});
  ASSERT_TRUE(info) << info.reason();
  EXPECT_EQ(info->num_samples, 2);
}

TEST_F(VerifiedTls, APlaylistLeadsToVerifiedServersOnly) {
  const test::HttpsServer server(folder_.path());
  ASSERT_TRUE(server.expired()) << "openssl and python3 are needed";
  test::run_or_throw("cd " + test::shell_quote(folder_.path().string()) +
                     " && ffmpeg -v error -i a.mp4 -c copy -bsf:v h264_mp4toannexb a.ts");
  std::ofstream(folder_.path() / "list.m3u8") << "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n"
                                              << server.url("a.ts") << "\n#EXT-X-ENDLIST\n";
  const test::HttpFileServer playlist(folder_.path() / "list.m3u8",
                                      test::HttpFileServer::Manner::kGood);
  const std::string url = fmt::format("http://127.0.0.1:{}/list.m3u8", playlist.port());
  EXPECT_FALSE(probe(url, {}));
  ::setenv("SSL_CERT_FILE", server.certificate().c_str(), 1);
  const auto info = probe(url, {});
  EXPECT_TRUE(info) << info.reason();
}

TEST_F(VerifiedTls, WhatCannotBeVerifiedIsRefusedWithoutItsSecrets) {
  const auto fault = unverifiable("rtsps://me:secret@camera/1");
  if (!fault) return;  // a later FFmpeg verifies it
  EXPECT_THAT(fault->reason, HasSubstr("rtsps://***@camera/1: this FFmpeg cannot verify"));
  EXPECT_FALSE(unverifiable("rtsp://camera/1"));
  EXPECT_FALSE(unverifiable("https://host/a.mp4"));
}

}  // namespace
}  // namespace streamo::video
