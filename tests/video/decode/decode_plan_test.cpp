// What is fed to the decoder. Truths: the structure that the encoder was told to make, worked
// through by hand; sequential decoding where a plan must be given up.
#include "video/decode/decode_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

#include "support/numbered_clip.h"
#include "support/sample_both_ways.h"

namespace streamo::video {
namespace {
namespace fs = std::filesystem;
using Feed::kDecode;
using Feed::kDrop;
using Feed::kPass;
using Feed::kRestart;
using testing::ElementsAre;

// ---- The plan itself
// -----------------------------------------------------------------------------

struct PacketSpec {
  int64_t pts;  // tenths of a second
  bool random_access = false, droppable = false;
  std::optional<std::vector<uint32_t>> references = {};
};

std::optional<DecodePlan> make_plan(const std::vector<PacketSpec>& packets) {
  PacketTimes times(1);
  DecodePlanner planner;
  for (const PacketSpec& spec : packets) {
    AVPacket packet{};
    packet.pts = packet.dts = spec.pts;
    packet.duration = 1;
    packet.flags = spec.random_access ? AV_PKT_FLAG_KEY : 0;
    const PacketKind kind{.understood = true,
                          .random_access = spec.random_access,
                          .droppable = spec.droppable,
                          .order = spec.pts,
                          .references = spec.references};
    planner.add(packet, kind, times.add(packet));
  }
  return planner.plan(*times.timeline(), SampleGrid(1.0, 0.0, {1, 10}));
}

TEST(DecodePlan, CutsGroupsAfterTheirLastWantedPictureAndPassesOverTheUnreferred) {
  // Wanted: 0, 10, 20.
  const auto plan = make_plan({{0, true},
                               {4},
                               {2, false, true},
                               {8, true},
                               {12},
                               {10, false, true},
                               {11, false, true},
                               {14, true},
                               {16},
                               {19, true},
                               {20}});
  ASSERT_TRUE(plan);
  EXPECT_THAT(plan->feed, ElementsAre(kDecode, kDrop, kDrop, kRestart, kDecode, kDecode, kDrop,
                                      kDrop, kDrop, kRestart, kDecode));
  EXPECT_THAT(plan->wanted, ElementsAre(0, 10, 20));
}

TEST(DecodePlan, FeedsTheGroupBeforeWhereALeadingPictureIsWanted) {
  // 10 is decoded after 11 and shown before it: it may refer to 8, and 8 to all before.
  const auto plan =
      make_plan({{0, true}, {4}, {2, false, true}, {8}, {11, true}, {10, false, true}});
  ASSERT_TRUE(plan);
  EXPECT_THAT(plan->feed, ElementsAre(kDecode, kDecode, kPass, kDecode, kDecode, kDecode));
}

TEST(DecodePlan, FollowsReferencesWhereTheyAreKnown) {
  using References = std::vector<uint32_t>;
  const auto plan = make_plan({{0, true, false, References{}},
                               {3, false, false, References{0}},
                               {6, false, false, References{0, 1}},
                               {8, false, false, References{1}},
                               {10, false, false, References{3}},
                               {11, false, false, References{4}}});
  ASSERT_TRUE(plan);
  EXPECT_THAT(plan->feed, ElementsAre(kDecode, kDecode, kDrop, kDecode, kDecode));
}

TEST(DecodePlan, IsNoneWhereTimesTellNothing) {
  EXPECT_FALSE(make_plan({{0, true}, {4}, {4}}));               // two at once
  EXPECT_FALSE(make_plan({{0, true}, {4}, {AV_NOPTS_VALUE}}));  // one without
  EXPECT_FALSE(make_plan({{0}, {4, true}, {8}}));               // begins in a group
  PacketTimes times(1);
  DecodePlanner planner;
  AVPacket packet{};
  packet.flags = AV_PKT_FLAG_KEY;
  for (const int64_t order : {2, 1}) {  // the codec shows them the other way round
    const bool displayed = times.add(packet);
    planner.add(packet, {.understood = true, .random_access = true, .order = order}, displayed);
    ++packet.pts;
  }
  EXPECT_FALSE(planner.plan(*times.timeline(), SampleGrid(1.0, 0.0, {1, 10})));
}

// ---- What is decoded of files
// --------------------------------------------------------------------

class PlannedDecoding : public testing::Test {
 protected:
  PlannedDecoding() {
    folder_ = fs::path(testing::TempDir()) / fmt::format("streamo-plan-{}", ::getpid());
    fs::create_directories(folder_);
  }
  ~PlannedDecoding() override { fs::remove_all(folder_); }

  fs::path clip(const std::string& name, const test::ClipRecipe& recipe) {
    return test::make_clip(folder_ / name, recipe);
  }

  fs::path folder_;
};

// 80 pictures at 25 a second: wanted are 0, 25, 50, 75.
TEST_F(PlannedDecoding, DecodesNothingNeedless) {
  const std::string x264 = "-c:v libx264 -preset ultrafast -x264-params scenecut=0:b-adapt=0:";
  struct Case {
    const char* name;
    std::string encode;
    int64_t packets;
  };
  for (const Case& c : {
           // 0 | 24 and 25 | 48 to 50 | 72 to 75
           Case{"p.mp4", x264 + "keyint=24:bframes=0", 1 + 2 + 3 + 4},
           // 0 | 24, 28, 26 for 25 | 48, 52, and 50, itself a reference | 72, 76, 74, 75
           Case{"b.mp4", x264 + "keyint=24:bframes=3:b-pyramid=normal:open-gop=0", 1 + 4 + 3 + 4},
           // no reference among the B pictures: 0 | 24, 28, 25 | 48, 52, 50 | 72, 76, 75
           Case{"flat.mkv", x264 + "keyint=24:bframes=3:b-pyramid=none:open-gop=0", 1 + 3 + 3 + 3},
           // one group: 75 references 0, 4 ... 76, and 25, 50, 75
           Case{"one.ts", x264 + "keyint=300:bframes=3:b-pyramid=none", 20 + 3},
           Case{"intra.mov", "-c:v mjpeg", 4},
           // I and P every third from 0 on, a group of 12: 0 | 24, 27, 25 | 48, 51, 50 | 72, 75
           Case{"mpeg2.ts", "-c:v mpeg2video -bf 2 -g 12 -sc_threshold 1000000000", 1 + 3 + 3 + 2},
       }) {
    SCOPED_TRACE(c.name);
    const fs::path path = clip(c.name, {.frames = 80, .size = {48, 64}, .encode = c.encode});
    const test::Sampled planned = test::sample(path, {}, Decoding::kPlanned);
    EXPECT_EQ(planned.frames.size(), 4u);
    EXPECT_EQ(planned.counters.packets, c.packets);
    EXPECT_EQ(planned.counters.conversions, 4);
    EXPECT_FALSE(planned.counters.plan_given_up);
  }
}

// Temporal layers of VP9: `rate` is divided by `dividers`, `ids` are the layers of one period.
std::string vp9_layers(const std::string& dividers, const std::string& ids, int mode) {
  const auto count = static_cast<int>(std::count(dividers.begin(), dividers.end(), ',')) + 1;
  const auto period = static_cast<int>(std::count(ids.begin(), ids.end(), ',')) + 1;
  return fmt::format(
      "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -lag-in-frames 0 -error-resilient 1 -g 1000 "
      "-b:v 400k -ts-parameters ts_number_layers={}:ts_target_bitrate={}:ts_rate_decimator={}:"
      "ts_periodicity={}:ts_layer_id={}:ts_layering_mode={}",
      count, count == 2 ? "240,400" : "160,240,400", dividers, period, ids, mode);
}

// The packets of an IVF file: 32 bytes of header, then each with its size and its time before it.
constexpr size_t kIvfHeader = 32, kIvfPacketHeader = 12;

std::vector<std::string> read_ivf(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  file.seekg(kIvfHeader);
  std::vector<std::string> packets;
  char header[kIvfPacketHeader];
  while (file.read(header, kIvfPacketHeader)) {
    uint32_t size = 0;
    std::memcpy(&size, header, sizeof size);
    file.read(packets.emplace_back(size, '\0').data(), size);
  }
  return packets;
}

// In place of those that are there, one a tick.
void write_ivf(const fs::path& path, const std::vector<std::string>& packets) {
  fs::resize_file(path, kIvfHeader);
  std::ofstream file(path, std::ios::binary | std::ios::app);
  for (uint64_t time = 0; time < packets.size(); ++time) {
    const auto size = static_cast<uint32_t>(packets[time].size());
    file.write(reinterpret_cast<const char*>(&size), sizeof size);
    file.write(reinterpret_cast<const char*>(&time), sizeof time);
    file << packets[time];
  }
}

// 130 pictures at 32 a second: wanted are 0, 32, 64, 96, 128, all of the lowest layer.
TEST_F(PlannedDecoding, DecodesNoUpperLayersOfVp9) {
  struct Case {
    std::string encode;
    size_t period;            // in pictures, of the lowest layer
    int64_t packets, lowest;  // decoded: of the file as FFmpeg makes it, and of the lowest layer
  };
  for (const Case& c : {
           // The upper layer is kept nowhere.
           Case{vp9_layers("2,1", "0,1", 2), 2, 65, 65},
           // The middle one is, in slot 1, which all pictures name.
           Case{vp9_layers("4,2,1", "0,2,1,2", 3), 4, 65, 33},
       }) {
    SCOPED_TRACE(c.encode);
    const fs::path path =
        clip("layers.ivf", {.frames = 130, .rate = "32", .size = {48, 64}, .encode = c.encode});
    std::vector<std::string> packets = read_ivf(path);
    ASSERT_EQ(packets.size(), 130u);
    for (const int64_t decoded : {c.packets, c.lowest}) {
      const test::Sampled all = test::sample(path, {}, Decoding::kSequential);
      const test::Sampled planned = test::sample(path, {}, Decoding::kPlanned);
      test::expect_same(planned.frames, all.frames);
      EXPECT_EQ(planned.counters.packets, decoded);
      EXPECT_FALSE(planned.counters.plan_given_up);
      std::vector<int> numbers;
      for (const Frame& frame : planned.frames) {
        numbers.push_back(test::read_number(frame.size, frame.rgb));
      }
      EXPECT_THAT(numbers, ElementsAre(0, 32, 64, 96, 128));
      // Encoders for conferences let the lowest layer name its own slot, 0, three times. FFmpeg's
      // names others too, of which it uses nothing.
      for (size_t i = c.period; i < packets.size(); i += c.period) {
        packets[i][2] = 0;
        packets[i][3] = static_cast<char>(packets[i][3] & 0x0f);
      }
      write_ivf(path, packets);
    }
  }
}

// Spatial layers: two pictures with one time, of which the later one is on screen.
TEST_F(PlannedDecoding, DecodesAllWhereAPacketShowsTwoPictures) {
  const fs::path path =
      clip("two.ivf",
           {.frames = 130, .rate = "32", .size = {48, 64}, .encode = vp9_layers("2,1", "0,1", 2)});
  std::vector<std::string> packets = read_ivf(path);
  std::string index(1, '\xd1');  // VP9 Annex B: two sizes, of three bytes each
  for (const size_t i : {64, 65}) {
    for (const int shift : {0, 8, 16}) index += static_cast<char>(packets[i].size() >> shift);
  }
  packets[64] += packets[65] + index + '\xd1';
  packets.erase(packets.begin() + 65);
  write_ivf(path, packets);
  const test::Sampled all = test::sample(path, {}, Decoding::kSequential);
  const test::Sampled planned = test::sample(path, {}, Decoding::kPlanned);
  test::expect_same(planned.frames, all.frames);
  EXPECT_EQ(planned.counters.packets, all.counters.packets);
  EXPECT_EQ(test::read_number(all.frames[2].size, all.frames[2].rgb), 65);
}

TEST_F(PlannedDecoding, ConvertsAFrozenPictureOnce) {
  const fs::path path =
      clip("frozen.mp4",
           {.frames = 201,
            .encode = "-vf \"select='not(mod(n,200))'\" -fps_mode passthrough -c:v libx264 "
                      "-preset ultrafast"});
  const test::Sampled planned = test::sample(path, {}, Decoding::kPlanned);
  EXPECT_EQ(planned.frames.size(), 9u);
  EXPECT_EQ(planned.counters.conversions, 2);
}

// Damage the packets of some pictures, in the order of the file.
void damage(const fs::path& path, size_t first, size_t end) {
  const test::CommandResult probed =
      test::run_command("ffprobe -v error -show_entries packet=pos -of csv=p=0 " + path.string());
  std::istringstream lines(probed.out);
  const std::vector<int64_t> places{std::istream_iterator<int64_t>(lines), {}};
  ASSERT_GT(places.size(), end);
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(places[first] + 8);
  file << std::string(static_cast<size_t>(places[end] - places[first] - 8), '\x5a');
}

TEST_F(PlannedDecoding, ShowsWhatSequentialDecodingShowsOfADamagedFile) {
  for (const char* encode : {"-c:v libx264 -preset ultrafast -bf 2 -g 50",
                             "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=50",
                             "-c:v mpeg4 -bf 2 -g 50 -q:v 2"}) {
    for (const size_t first : {size_t{0}, size_t{60}, size_t{101}, size_t{124}}) {
      SCOPED_TRACE(fmt::format("{} from {}", encode, first));
      const fs::path path = clip("damaged.mp4", {.frames = 200, .encode = encode});
      damage(path, first, first + 20);
      const test::Sampled all = test::sample(path, {}, Decoding::kSequential);
      const test::Sampled planned = test::sample(path, {}, Decoding::kPlanned);
      test::expect_same(planned.frames, all.frames);
    }
  }
}

TEST_F(PlannedDecoding, GoesOnWithoutAPlanWhereTheClockOfTheFileLies) {
  // Times of pictures in the order of decoding, on a stream with B pictures.
  const fs::path plain = clip("plain.mp4", {.frames = 80});
  const fs::path path = folder_ / "lies.mp4";
  test::run_or_throw(fmt::format("ffmpeg -v error -y -i {} -c copy -bsf:v setts=pts=DTS {}",
                                 plain.string(), path.string()));
  const test::Sampled all = test::sample(path, {}, Decoding::kSequential);
  const test::Sampled planned = test::sample(path, {}, Decoding::kPlanned);
  test::expect_same(planned.frames, all.frames);
  EXPECT_EQ(planned.counters.packets, all.counters.packets);
}

// 53,946 pictures at 15000/1001 a second: 3,599.996 s, in which a rate taken for 15 goes 3.6 s
// wrong.
TEST_F(PlannedDecoding, DoesNotDriftInAnHour) {
  const fs::path path = clip("hour.mp4", {.frames = 53946,
                                          .rate = "15000/1001",
                                          .size = {32, 64},
                                          .encode = "-c:v libx264 -preset ultrafast -bf 2 -g 75 "
                                                    "-threads 1"});
  const test::Sampled planned = test::sample(path, {}, Decoding::kPlanned);
  ASSERT_EQ(planned.frames.size(), 3600u);
  for (int64_t k = 0; k < 3600; ++k) {
    const Frame& frame = planned.frames[static_cast<size_t>(k)];
    ASSERT_EQ(test::read_number(frame.size, frame.rgb), k * 15000 / 1001);
  }
  EXPECT_FALSE(planned.counters.plan_given_up);
}

}  // namespace
}  // namespace streamo::video
