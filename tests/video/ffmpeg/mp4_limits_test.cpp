// How many packets an MP4 file claims. Truth: boxes made by hand (ISO/IEC 14496-12), and what
// ffprobe counts in a real file.
#include "video/ffmpeg/mp4_limits.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/io/scratch_folder.h"
#include "support/numbered_clip.h"

namespace streamo::video {
namespace {

namespace fs = std::filesystem;

std::string number(uint64_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i) & 255U);
  return text;
}
std::string box(const std::string& type, const std::string& content) {
  return number(content.size() + 8, 4) + type + content;
}
std::string in_boxes(const std::vector<std::string>& types, std::string content) {
  for (auto type = types.rbegin(); type != types.rend(); ++type) content = box(*type, content);
  return content;
}
// A table of equal sizes: as short for a billion as for one.
std::string sizes(uint32_t count) {
  return box("stsz", number(0, 4) + number(100, 4) + number(count, 4));
}
std::string track(const std::string& table) {
  return in_boxes({"trak", "mdia", "minf", "stbl"}, table);
}

class Mp4Claims : public testing::Test {
 protected:
  int64_t claimed(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary) << bytes;
    return claimed_packets(path_);
  }
  const core::ScratchFolder scratch_;
  const fs::path path_ = scratch_.path() / "a.mp4";
  const std::string start_ = box("ftyp", "isom0000");
};

TEST_F(Mp4Claims, TablesAndFragmentsOfAllTracksAreAddedUp) {
  const std::string fragment =
      in_boxes({"moof", "traf"}, box("trun", number(0, 4) + number(25, 4)));
  EXPECT_EQ(claimed(start_ + box("moov", track(sizes(3)) + track(sizes(2'000'000'000)))),
            2'000'000'003);
  EXPECT_EQ(claimed(start_ + box("moov", track(sizes(0))) + fragment + fragment), 50);
  EXPECT_EQ(claimed(start_ + box("mdat", std::string(100'000, 'x')) + box("moov", track(sizes(7)))),
            7);
}

TEST_F(Mp4Claims, LongSizesAndBoxesUpToTheEndAreFollowed) {
  const std::string moov = track(sizes(9));
  EXPECT_EQ(claimed(start_ + number(1, 4) + "moov" + number(moov.size() + 16, 8) + moov), 9);
  EXPECT_EQ(claimed(start_ + number(0, 4) + "moov" + moov), 9);
}

TEST_F(Mp4Claims, OtherFilesAndDamageClaimNothing) {
  EXPECT_EQ(claimed(""), 0);
  EXPECT_EQ(claimed("RIFFxxxxWEBP" + box("moov", track(sizes(5)))), 0);
  EXPECT_EQ(claimed(start_ + number(3, 4) + "free" + box("moov", track(sizes(5)))), 0);
  EXPECT_EQ(claimed(start_ + number(UINT64_MAX, 8) + box("moov", track(sizes(5)))), 0);
  EXPECT_EQ(claimed(start_ + box("moov", track(number(400, 4) + "stsz"))), 0);
  const std::vector<std::string> deep(200, "moov");
  EXPECT_EQ(claimed(start_ + in_boxes(deep, track(sizes(5)))), 0);
  EXPECT_EQ(claimed_packets(scratch_.path() / "none.mp4"), 0);
}

TEST_F(Mp4Claims, OfARealFileItIsTheNumberOfItsPackets) {
  const fs::path clip = test::make_clip(
      scratch_.path() / "real.mp4",
      {.frames = 37, .size = {48, 64}, .encode = "-c:v libx264 -preset ultrafast -threads 1"});
  EXPECT_EQ(claimed_packets(clip), 37);
}

}  // namespace
}  // namespace streamo::video
