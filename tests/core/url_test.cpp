// Truth: RFC 3986 for the parts of a URL, and the promise that no secret is printed.
#include "core/url.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace streamo::core {
namespace {
namespace fs = std::filesystem;

TEST(Url, IsToldByItsScheme) {
  EXPECT_TRUE(is_url("http://host/clip.mp4"));
  EXPECT_TRUE(is_url("rtsp://host"));
  EXPECT_FALSE(is_url("clip.mp4"));
  EXPECT_FALSE(is_url("12:30.mp4"));
  EXPECT_FALSE(is_url("http:clip.mp4"));
  EXPECT_FALSE(is_url("folder/http://clip.mp4"));
  EXPECT_FALSE(is_url("://clip.mp4"));
  EXPECT_FALSE(is_url("file:///clip.mp4"));
  EXPECT_EQ(local_file("file:///a/clip.mp4"), "/a/clip.mp4");
  EXPECT_EQ(local_file("a/clip.mp4"), "a/clip.mp4");
}

TEST(Url, AFileOfThatNameIsAFile) {
  const fs::path folder =
      fs::path(testing::TempDir()) / ("streamo-url-" + std::to_string(getpid()));
  fs::create_directories(folder / "http:");
  std::ofstream(folder / "http:" / "clip.mp4") << "x";
  const fs::path before = fs::current_path();
  fs::current_path(folder);
  EXPECT_FALSE(is_url("http://clip.mp4"));
  EXPECT_TRUE(is_url("http://other.mp4"));
  fs::current_path(before);
  fs::remove_all(folder);
}

TEST(Redact, LeavesOutWhatMayBeSecret) {
  EXPECT_EQ(redact("https://me:pw@host:8443/a.mp4?token=1#part"),
            "https://***@host:8443/a.mp4?***");
  EXPECT_EQ(redact("https://host/a.mp4#token"), "https://host/a.mp4#***");
  EXPECT_EQ(redact("https://host?token"), "https://host?***");
  EXPECT_EQ(redact("https://me:p@ss/w@host/a.mp4"), "https://***@host/a.mp4");
  EXPECT_EQ(redact_source("srt://host:9000?passphrase=two words"), "srt://host:9000?***");
  EXPECT_EQ(redact_source("a b.mp4"), "a b.mp4");
  EXPECT_EQ(redact("https://host/a.mp4?next=https://me:pw@other/b"), "https://host/a.mp4?***");
}

// Where the password ends cannot be told: nothing of it may be shown.
TEST(Redact, APasswordMayHoldAnything) {
  EXPECT_EQ(redact("rtsp://user:ge?heim@cam/1"), "rtsp://***");
  EXPECT_EQ(redact("rtsp://user:ge#heim@cam/1"), "rtsp://***");
  EXPECT_EQ(redact("rtsp://user:g/e?heim@cam/1"), "rtsp://***");
  EXPECT_EQ(redact("rtsp://user:p@ss?word@cam/1?k=v"), "rtsp://***");
  EXPECT_EQ(redact("'rtsp://u:a?b@h' and http://h/x?k"), "'rtsp://***' and http://h/x?***");
  EXPECT_EQ(redact("rtsp://user:ge heim@cam/1"), "rtsp://*** heim@cam/1");
  EXPECT_EQ(redact_source("rtsp://user:ge heim@cam/1"), "rtsp://***@cam/1");
  EXPECT_EQ(redact("https://host?mail=me@home"), "https://***");
  EXPECT_EQ(redact("https://host:8443/a.mp4?mail=me@home"), "https://host:8443/a.mp4?***");
  EXPECT_EQ(redact("https://[::1]:8443/a.mp4?mail=me@home"), "https://[::1]:8443/a.mp4?***");
}

TEST(Redact, FindsUrlsWithinAText) {
  EXPECT_EQ(redact("cannot open 'http://a:b@h/x?y' or rtsp://h/z?k: no"),
            "cannot open 'http://***@h/x?***' or rtsp://h/z?***: no");
  EXPECT_EQ(redact("[http://a:b@h/x] [http://h/y]"), "[http://***@h/x] [http://h/y]");
  EXPECT_EQ(redact("a/clip?.mp4: no ://"), "a/clip?.mp4: no ://");
  EXPECT_EQ(redact(""), "");
  EXPECT_EQ(redact("://"), "://");
  const std::string once = redact("http://a:b@h/x?y: no such file, https://h/z#k.");
  EXPECT_EQ(once, "http://***@h/x?***: no such file, https://h/z#***.");
  EXPECT_EQ(redact(once), once);
}

}  // namespace
}  // namespace streamo::core
