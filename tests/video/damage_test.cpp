// Files cut off and overwritten at random places. Truth: the rule of docs/data.md, "Damaged and
// hostile input": a Fault with a reason, or samples on the right grid; of a file that was cut off,
// what lies before the cut is bit for bit that of the whole file. Where that is says ffprobe. The
// damage is seeded.
//
// Some hundred files always; STREAMO_FULL_FAULTS=1 makes thirty times as many (some minutes).
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "streamo/video/sampler.h"
#include "support/numbered_clip.h"
#include "support/run_command.h"

namespace streamo::video {
namespace {
namespace fs = std::filesystem;

constexpr double kPage = 1.5;     // seconds before the end of what is left that may be torn
constexpr size_t kCompared = 16;  // samples of which the pixels are kept

// What a file that was cut off still gives.
enum class Cut {
  kExactPictures,  // all that lies before the cut
  kPages,    // the same, but pictures lie in pages of about a second: the file tells no places
  kNothing,  // its index tells of more than there is
};

struct Kind {
  std::string name, file, encode;
  Cut cut = Cut::kExactPictures;
};

void PrintTo(const Kind& kind, std::ostream* out) {
  *out << kind.name;
}

int times_as_many() {
  return std::getenv("STREAMO_FULL_FAULTS") == nullptr ? 1 : 30;
}

struct Outcome {
  std::string reason;  // empty: no fault
  std::vector<Frame> frames;
  int64_t count = 0;
};

class DamageTest : public testing::TestWithParam<Kind> {
 protected:
  DamageTest() {
    folder_ = fs::path(testing::TempDir()) /
              fmt::format("streamo-damage-{}-{}", GetParam().name, ::getpid());
    fs::create_directories(folder_);
    path_ = test::make_clip(folder_ / GetParam().file,
                            {.frames = 90, .size = {48, 64}, .encode = GetParam().encode});
    std::ifstream file(path_, std::ios::binary);
    bytes_ = {std::istreambuf_iterator<char>(file), {}};
    damaged_ = folder_ / ("damaged-" + GetParam().file);
  }
  ~DamageTest() override { fs::remove_all(folder_); }

  Outcome sample_damaged(const std::string& bytes) const {
    std::ofstream(damaged_, std::ios::binary) << bytes;
    const auto begin = std::chrono::steady_clock::now();
    Outcome outcome = sample(damaged_);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
    return outcome;
  }

  // Checks of each sample what holds for any file whatsoever.
  static Outcome sample(const fs::path& path) {
    Outcome outcome;
    auto sampler = FrameSampler::open(path, {.fps = 2.0, .time_limit = 5});
    if (!sampler) return with_reason(path, sampler.reason());
    double last_time = 0;
    while (true) {
      auto frame = sampler->next();
      if (!frame) return with_reason(path, frame.reason());
      if (!*frame) break;
      Frame& sample = **frame;
      EXPECT_EQ(sample.index, outcome.count);
      EXPECT_EQ(sample.time, static_cast<double>(outcome.count) / 2);
      EXPECT_GE(sample.pts_time, last_time);
      EXPECT_EQ(sample.rgb.size(), static_cast<size_t>(sample.size.height) *
                                       static_cast<size_t>(sample.size.width) * 3);
      last_time = sample.pts_time;
      if (outcome.frames.size() < kCompared) outcome.frames.push_back(std::move(sample));
      ++outcome.count;
    }
    EXPECT_GT(outcome.count, 0);
    EXPECT_EQ(outcome.count, sampler->info().num_samples);
    return outcome;
  }

  static Outcome with_reason(const fs::path& path, const std::string& reason) {
    EXPECT_TRUE(reason.starts_with(path.string() + ": ")) << reason;
    EXPECT_GT(reason.size(), path.string().size() + 10) << reason;
    EXPECT_EQ(reason.find("for 5 s and was given up"), std::string::npos) << reason;
    Outcome outcome;
    outcome.reason = reason;
    return outcome;
  }

  fs::path folder_, path_, damaged_;
  std::string bytes_;
};

// ---- Cut off -----------------------------------------------------------------------------------

struct Packet {
  int64_t place;  // of its first byte
  double time;    // seconds from the first picture
};

// In the order of the file; none when it does not tell.
std::vector<Packet> read_packets(const fs::path& path) {
  const test::CommandResult result = test::run_command(
      "ffprobe -v quiet -select_streams v:0 -show_entries packet=pos,pts_time "
      "-of json " +
      test::shell_quote(path.string()));
  std::vector<Packet> packets;
  double first = std::numeric_limits<double>::max();
  const nlohmann::json told = nlohmann::json::parse(result.out);
  for (const auto& packet : told.at("packets")) {
    if (!packet.contains("pts_time") || !packet.contains("pos")) return {};
    packets.push_back({std::stoll(packet["pos"].get<std::string>()),
                       std::stod(packet["pts_time"].get<std::string>())});
    first = std::min(first, packets.back().time);
  }
  for (Packet& packet : packets) packet.time -= first;
  return packets;
}

// Pictures before this time lie in the first `size` bytes, with one more packet of 188 bytes, in
// which a transport stream says that the last one is complete.
double intact_until(const std::vector<Packet>& packets, int64_t size) {
  double until = std::numeric_limits<double>::max();
  for (size_t i = 0; i < packets.size(); ++i) {
    const bool whole = i + 1 < packets.size() && packets[i + 1].place + 188 <= size;
    if (!whole) until = std::min(until, packets[i].time);
  }
  return packets.empty() ? 0 : until;
}

TEST_P(DamageTest, OfAFileThatWasCutOffWhatIsThereIsExact) {
  const Outcome whole = sample(path_);
  ASSERT_EQ(whole.reason, "");
  const std::vector<Packet> packets = read_packets(path_);
  std::mt19937 random(2026);
  int sampled = 0, compared = 0;
  for (int i = 0; i < 8 * times_as_many(); ++i) {
    const size_t size = std::uniform_int_distribution<size_t>(0, bytes_.size() - 1)(random);
    SCOPED_TRACE(fmt::format("{} of {} bytes", size, bytes_.size()));
    const Outcome cut = sample_damaged(bytes_.substr(0, size));
    if (!cut.reason.empty()) continue;
    ++sampled;
    EXPECT_LE(cut.count, whole.count);
    if (GetParam().cut == Cut::kNothing) EXPECT_EQ(cut.count, whole.count) << "only its end is cut";
    const double until = GetParam().cut == Cut::kPages
                             ? static_cast<double>(cut.count) / 2 - kPage
                             : intact_until(packets, static_cast<int64_t>(size));
    for (size_t k = 0; k < whole.frames.size() && whole.frames[k].time < until; ++k) {
      ASSERT_LT(k, cut.frames.size()) << "intact until " << until;
      EXPECT_TRUE(cut.frames[k].rgb == whole.frames[k].rgb) << k << ", intact until " << until;
      ++compared;
    }
  }
  fmt::print("{} of {} sampled, {} pictures compared\n", sampled, 8 * times_as_many(), compared);
  if (GetParam().cut != Cut::kNothing) {
    EXPECT_GT(sampled, 0);
    EXPECT_GT(compared, 0);
  }
}

// ---- Overwritten -------------------------------------------------------------------------------

struct Damage {
  const char* name;
  size_t within;  // the first bytes of the file: its header; or all
  int places;
  size_t length;  // bytes at each place; 0: a single bit
};

constexpr size_t kAll = std::numeric_limits<size_t>::max();
constexpr Damage kDamages[] = {{"one bit", kAll, 1, 0},
                               {"a bit of the header", 1500, 1, 0},
                               {"bits of the header", 1500, 8, 0},
                               {"many bits", kAll, 30, 0},
                               {"a burst", kAll, 1, 64},
                               {"lost blocks", kAll, 2, 512}};

std::string overwritten(std::string bytes, const Damage& damage, std::mt19937& random) {
  const size_t end = std::min(damage.within, bytes.size());
  for (int i = 0; i < damage.places; ++i) {
    const size_t place = std::uniform_int_distribution<size_t>(0, end - 1)(random);
    if (damage.length == 0) {
      bytes[place] = static_cast<char>(bytes[place] ^ (1 << (random() % 8)));
    }
    for (size_t at = place; at < std::min(bytes.size(), place + damage.length); ++at) {
      bytes[at] = static_cast<char>(random() & 255U);
    }
  }
  return bytes;
}

TEST_P(DamageTest, AnOverwrittenFileGivesSamplesOrAReason) {
  std::mt19937 random(7);
  int sampled = 0;
  for (const Damage& damage : kDamages) {
    for (int i = 0; i < 3 * times_as_many(); ++i) {
      SCOPED_TRACE(fmt::format("{} number {}", damage.name, i));
      if (sample_damaged(overwritten(bytes_, damage, random)).reason.empty()) ++sampled;
    }
  }
  RecordProperty("sampled", sampled);
  EXPECT_GT(sampled, 0);  // a little damage does not make a file useless
}

const std::string kX264 = "-c:v libx264 -preset ultrafast -threads 1 -bf 2 -g 25 ";
const std::string kX265 =
    "-c:v libx265 -preset ultrafast -x265-params log-level=none:pools=1:keyint=25:bframes=2 ";

INSTANTIATE_TEST_SUITE_P(
    Kinds, DamageTest,
    testing::Values(Kind{"h264_mp4", "a.mp4", kX264 + "-movflags +faststart", Cut::kNothing},
                    Kind{"h264_fragments", "a.mp4", kX264 + "-movflags frag_keyframe+empty_moov",
                         Cut::kNothing},
                    Kind{"h264_mkv", "a.mkv", kX264}, Kind{"h264_ts", "a.ts", kX264},
                    Kind{"h264_flv", "a.flv", kX264},
                    Kind{"h264_raw", "a.h264", kX264, Cut::kPages},
                    Kind{"hevc_mp4", "a.mp4", kX265 + "-movflags +faststart", Cut::kNothing},
                    Kind{"hevc_mkv", "a.mkv", kX265}, Kind{"hevc_ts", "a.ts", kX265},
                    Kind{"vp8_webm", "a.webm", "-c:v libvpx -deadline realtime -cpu-used 8 -g 25"},
                    Kind{"vp9_webm", "a.webm",
                         "-c:v libvpx-vp9 -deadline good -cpu-used 8 -auto-alt-ref 1 "
                         "-lag-in-frames 16 -g 25"},
                    Kind{"av1_mkv", "a.mkv", "-c:v libaom-av1 -usage realtime -cpu-used 8 -g 25"},
                    Kind{"av1_mp4", "a.mp4", "-c:v libaom-av1 -usage realtime -cpu-used 8 -g 25",
                         Cut::kNothing},
                    Kind{"mpeg2_ps", "a.mpg", "-c:v mpeg2video -bf 2 -g 12 -q:v 2", Cut::kPages},
                    Kind{"mpeg4_avi", "a.avi", "-c:v mpeg4 -g 25 -q:v 2"},
                    Kind{"mjpeg_avi", "a.avi", "-c:v mjpeg -q:v 2"},
                    Kind{"theora", "a.ogv", "-c:v libtheora -q:v 8 -g 25", Cut::kPages},
                    Kind{"wmv", "a.wmv", "-c:v wmv2 -q:v 2 -g 25", Cut::kPages},
                    Kind{"gif", "a.gif", "-pix_fmt rgb8", Cut::kPages}),
    [](const testing::TestParamInfo<Kind>& info) { return info.param.name; });

}  // namespace
}  // namespace streamo::video
