// Where paths may lead. The truth is what the kernel opens: each case is a real file behind real
// links.
#include "data/samples/video_root.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace streamo::data {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// root/videos/{inside.mp4, folder/deep.mp4}, root/secret.mp4, and links.
class VideoRoots : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(prefix_ / "folder");
    fs::create_directories(root_ / "elsewhere");
    for (const fs::path& file : {prefix_ / "inside.mp4", prefix_ / "folder/deep.mp4",
                                 root_ / "secret.mp4", root_ / "elsewhere/secret.mp4"}) {
      std::ofstream(file) << "x";
    }
    fs::create_symlink("inside.mp4", prefix_ / "link_inside.mp4");
    fs::create_symlink("../secret.mp4", prefix_ / "link_out.mp4");
    fs::create_directory_symlink("../elsewhere", prefix_ / "folder_out");
    fs::create_directory_symlink("folder", prefix_ / "folder_in");
    fs::create_directory_symlink("videos", root_ / "linked_prefix");
    fs::create_symlink("circle", prefix_ / "circle");
  }
  void TearDown() override { fs::remove_all(root_); }

  VideoRoot confined() const { return {prefix_, /*allow_outside=*/false, {}}; }

  const fs::path root_ =
      fs::canonical(testing::TempDir()) / ("roots-" + std::to_string(::getpid()));
  const fs::path prefix_ = root_ / "videos";
};

TEST_F(VideoRoots, TakeWhatLiesInside) {
  for (const char* path : {"inside.mp4", "folder/deep.mp4", "./folder/../inside.mp4",
                           "link_inside.mp4", "folder_in/deep.mp4", "../videos/inside.mp4"}) {
    const auto located = confined().locate(path);
    ASSERT_TRUE(located) << located.reason();
    EXPECT_EQ(*located, prefix_ / path);
    EXPECT_TRUE(fs::exists(*located));
  }
  EXPECT_TRUE(confined().locate((prefix_ / "inside.mp4").string())) << "absolute, but inside";
  EXPECT_TRUE(confined().locate("none/at/all.mp4")) << "whoever opens it says that it is missing";
}

TEST_F(VideoRoots, RefuseWhatLeadsOut) {
  const std::string absolute = (root_ / "secret.mp4").string();
  const std::vector<std::pair<std::string, fs::path>> cases = {
      {"../secret.mp4", root_ / "secret.mp4"},
      {"folder/../../secret.mp4", root_ / "secret.mp4"},
      {absolute, root_ / "secret.mp4"},
      {"/etc/passwd", "/etc/passwd"},
      {"link_out.mp4", root_ / "secret.mp4"},
      {"folder_out/secret.mp4", root_ / "elsewhere/secret.mp4"},
      {"folder_out/none.mp4", root_ / "elsewhere/none.mp4"},
      {"none/../../none.mp4", root_ / "none.mp4"},
      {"../videos_of_others/a.mp4", root_ / "videos_of_others/a.mp4"},
      {"..", root_},
  };
  for (const auto& [path, target] : cases) {
    const auto located = confined().locate(path);
    ASSERT_FALSE(located) << path;
    EXPECT_EQ(located.reason(), path + " leads out of the video prefix " + prefix_.string() +
                                    ", to " + target.string() +
                                    " (data.allow_outside_prefix would allow it)");
    EXPECT_TRUE(VideoRoot(prefix_, /*allow_outside=*/true, {}).locate(path));
  }
  EXPECT_THAT(confined().locate("circle").reason(), HasSubstr("symbolic links"));
}

TEST_F(VideoRoots, MayBeLinksThemselves) {
  const VideoRoot linked(root_ / "linked_prefix", false, {});
  EXPECT_TRUE(linked.locate("inside.mp4"));
  EXPECT_TRUE(linked.locate((prefix_ / "inside.mp4").string()));
  EXPECT_FALSE(linked.locate("../secret.mp4"));
  EXPECT_TRUE(VideoRoot(prefix_ / "", false, {}).locate("inside.mp4")) << "a slash at its end";
  EXPECT_TRUE(VideoRoot("/", false, {}).locate("etc/passwd"));
  EXPECT_FALSE(VideoRoot(root_ / "not_there", false, {}).locate("../secret.mp4"));
}

TEST_F(VideoRoots, AnAnnotationFetchesNothing) {
  const std::string url = "http://me:secret@10.0.0.5/clip.mp4?token=1";
  for (const VideoRoot& root :
       {VideoRoot({}, false, {}), VideoRoot({}, false, "."), VideoRoot({}, false, prefix_),
        confined(), VideoRoot(prefix_, /*allow_outside=*/true, {})}) {
    const auto located = root.locate(url);
    ASSERT_FALSE(located);
    EXPECT_THAT(located.reason(), HasSubstr("http://***@10.0.0.5/clip.mp4?*** is a URL"));
  }
}

TEST_F(VideoRoots, MayBeUrls) {
  for (const char* prefix : {"https://host/videos", "https://host/videos/"}) {
    const VideoRoot root(prefix, /*allow_outside=*/false, prefix_);
    EXPECT_EQ(*root.locate("a/b.mp4"), "https://host/videos/a/b.mp4");
    EXPECT_EQ(*root.locate("https://host/videos/b.mp4"), "https://host/videos/b.mp4");
    for (const char* path : {"../b.mp4", "a/../../b.mp4", "/etc/passwd", "https://host/b.mp4",
                             "https://host/videos/../b.mp4", "https://host.evil/videos/b.mp4",
                             "https://host@evil/videos/b.mp4", "http://host/videos/b.mp4",
                             "rtsp://10.0.0.5/1", "a.mp4\r\nHost: x"}) {
      EXPECT_FALSE(root.locate(path)) << path;
    }
    EXPECT_FALSE(VideoRoot(prefix, /*allow_outside=*/true, {}).locate("http://10.0.0.5/b.mp4"));
  }
}

TEST_F(VideoRoots, OfTheAnnotationsFolderConfineNothing) {
  const VideoRoot root({}, /*allow_outside=*/false, prefix_);
  for (const char* path : {"inside.mp4", "../secret.mp4", "/etc/passwd", "link_out.mp4"}) {
    const auto located = root.locate(path);
    ASSERT_TRUE(located);
    EXPECT_EQ(*located, prefix_ / path);
  }
}

}  // namespace
}  // namespace streamo::data
