// Truth: files made to differ in one place.
#include "data/samples/content_id.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "core/io/scratch_folder.h"

namespace streamo::data {
namespace {

namespace fs = std::filesystem;

class ContentIds : public testing::Test {
 protected:
  // By default longer than both ends that are read.
  std::string id_with(const std::string& name, size_t at, size_t size = 200'000) const {
    std::string bytes(size, 'a');
    if (at < size) bytes[at] = 'b';
    std::ofstream(folder_.path() / name, std::ios::binary) << bytes;
    const auto id = content_id((folder_.path() / name).string());
    return id ? *id : "Fault: " + id.reason();
  }

  static constexpr size_t kNowhere = SIZE_MAX;
  const core::ScratchFolder folder_;
};

TEST_F(ContentIds, AreOfTheContentNotOfTheName) {
  EXPECT_EQ(id_with("a.mp4", kNowhere), id_with("b.mp4", kNowhere));
}

TEST_F(ContentIds, TellSizeBeginningAndEnd) {
  const std::string whole = id_with("a.mp4", kNowhere);
  EXPECT_NE(id_with("a.mp4", kNowhere, 200'001), whole);
  EXPECT_NE(id_with("a.mp4", 0), whole);
  EXPECT_NE(id_with("a.mp4", 32'767), whole);
  EXPECT_NE(id_with("a.mp4", 199'999), whole);
  EXPECT_NE(id_with("a.mp4", 200'000 - 32'768), whole);
  EXPECT_EQ(id_with("a.mp4", 100'000), whole);  // in between: the header says so
}

TEST_F(ContentIds, OfShortAndEmptyFilesAreOfAllTheyHold) {
  EXPECT_NE(id_with("a.mp4", 5, 10), id_with("a.mp4", 6, 10));
  EXPECT_NE(id_with("a.mp4", 0, 0), id_with("a.mp4", 0, 1));
}

TEST_F(ContentIds, WhatIsNoReadableFileIsAFault) {
  const auto id = content_id((folder_.path() / "none.mp4").string());
  ASSERT_FALSE(id);
  EXPECT_THAT(id.reason(), testing::EndsWith("none.mp4: No such file or directory"));
  EXPECT_FALSE(content_id(folder_.path().string()));
}

// A descriptor that is missing now says nothing about the video.
TEST_F(ContentIds, TroubleOfTheMachineIsNoBadFile) {
  EXPECT_EXIT(
      {
        ::setenv("STREAMO_FAULT", "video.open:1+:emfile", 1);
        try {
          id_with("a.mp4", kNowhere);
        } catch (const core::Error& error) {
          std::_Exit(error.kind() == core::ErrorKind::kMemory ? 0 : 2);
        }
        std::_Exit(1);
      },
      testing::ExitedWithCode(0), "");
  EXPECT_EXIT(
      {
        ::setenv("STREAMO_FAULT", "video.read:1:estale", 1);
        std::_Exit(id_with("a.mp4", kNowhere).starts_with("Fault") ? 1 : 0);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace streamo::data
