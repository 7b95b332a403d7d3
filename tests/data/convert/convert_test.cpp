// Whole conversions. The truth of the stream format is a second program that follows the rules of
// docs/data.md (tests/oracle/conversion_oracle.py): it shows that we do what we say, not that we
// read the published format as its authors do. Of the frames it is the numbers in the pictures.
#include "data/convert/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/io/file.h"
#include "core/rng.h"
#include "data/loading/ordered_pipeline.h"
#include "data/samples/memoize.h"
#include "streamo/video/sampler.h"
#include "support/numbered_clip.h"

namespace streamo::data {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

class Conversions : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = fs::path(testing::TempDir()) / ("convert-" + std::to_string(::getpid()));
    fs::create_directories(folder_ / "clips/b");
    test::make_clip(folder_ / "clips/four.mp4", {.frames = 20, .rate = "5"});
    test::make_clip(folder_ / "clips/nine.mp4", {.frames = 45, .rate = "5"});
    fs::copy(folder_ / "clips/nine.mp4", folder_ / "clips/b/four.mp4");
  }
  static void TearDownTestSuite() { fs::remove_all(folder_); }

  static fs::path write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }
  static json read(const fs::path& path) { return json::parse(core::read_file(path)); }

  static json raw(const std::string& video, const std::string& answer = "yes") {
    return {{"video_path", video}, {"response", {{{"content", answer}, {"time", 2}}}}};
  }

  static ConversionReport to_stream(const fs::path& input, int num_workers = 2) {
    ToStreamOptions options;
    options.input = input;
    options.output = folder_ / "out.json";
    options.num_workers = num_workers;
    return convert_to_stream(options);
  }

  static fs::path folder_;
};
fs::path Conversions::folder_;

TEST_F(Conversions, KeepLayoutAndOrder) {
  const json a = raw("clips/four.mp4", "a"), b = raw("clips/nine.mp4", "b");
  const fs::path out = folder_ / "out.json";
  EXPECT_EQ(to_stream(write("in.json", json({a, b}).dump())).converted, 2u);
  json converted = read(out);
  ASSERT_TRUE(converted.is_array());
  EXPECT_EQ(converted[0]["messages"].size(), 9u);
  EXPECT_EQ(converted[1]["messages"].size(), 19u);
  EXPECT_EQ(converted[0]["messages"][4]["content"], "</Response> a");
  EXPECT_EQ(converted[0]["videos"], json::array({(folder_ / "clips/four.mp4").string()}));

  to_stream(write("in.jsonl", a.dump() + "\n" + b.dump() + "\n"));
  const std::string lines = core::read_file(out);
  EXPECT_EQ(json::parse(lines.substr(0, lines.find('\n'))), converted[0]);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 2);

  to_stream(write("in.json", a.dump(2)));
  EXPECT_EQ(read(out), converted[0]);
}

TEST_F(Conversions, AreTheSameForAnyNumberOfThreads) {
  json records = json::array();
  for (int i = 0; i < 60; ++i) {
    records.push_back(raw(i % 3 ? "clips/four.mp4" : "clips/nine.mp4", std::to_string(i)));
  }
  const fs::path input = write("in.json", records.dump());
  to_stream(input, 1);
  const std::string one = core::read_file(folder_ / "out.json");
  to_stream(input, 7);
  EXPECT_EQ(core::read_file(folder_ / "out.json"), one);
}

TEST_F(Conversions, SkipAndListBadSamples) {
  json records = {
      raw("clips/four.mp4"), raw("clips/none.mp4"), {{"video_path", "x"}}, raw("clips/four.mp4")};
  records[3]["response"].push_back({{"content", "late"}, {"time", 99}});
  records[3]["response"].push_back({{"content", "when?"}, {"time", "soon"}});
  const fs::path input = write("in.json", records.dump());
  const ConversionReport report = to_stream(input);
  EXPECT_EQ(report.converted, 2u);
  EXPECT_EQ(report.turns, 8);
  EXPECT_EQ(read(folder_ / "out.json").size(), 2u);
  const json written = read(folder_ / "out.json.report.json");
  EXPECT_EQ(written["samples"], 4);
  EXPECT_EQ(written["converted"], 2);
  ASSERT_EQ(written["skipped"].size(), 2u);
  EXPECT_EQ(written["skipped"][0]["id"], "in.json:1");
  EXPECT_THAT(written["skipped"][0]["reason"].get<std::string>(), HasSubstr("none.mp4"));
  EXPECT_THAT(written["skipped"][1]["reason"].get<std::string>(), HasSubstr("\"response\""));
  EXPECT_EQ(written["losses"]["out_of_range"]["count"], 1);
  EXPECT_THAT(written["losses"]["out_of_range"]["entries"][0].get<std::string>(),
              HasSubstr("in.json:3: response[1]"));
  EXPECT_EQ(written["losses"]["unreadable_times"]["count"], 1);
  EXPECT_EQ(written["losses"]["overwritten_answers"]["count"], 0);
}

TEST_F(Conversions, WriteNothingWhenNothingCanBeConverted) {
  ToStreamOptions options;
  options.input = write("in.json", json::array({raw("clips/none.mp4")}).dump());
  options.output = folder_ / "never.json";
  EXPECT_THROW(convert_to_stream(options), core::Error);
  EXPECT_FALSE(fs::exists(options.output));
  EXPECT_EQ(read(report_path(options.output))["skipped"].size(), 1u);
  options.input = write("in.json", "[]");
  EXPECT_THROW(convert_to_stream(options), core::Error);
  options.input = write("in.json", "[{]");
  EXPECT_THROW(convert_to_stream(options), core::Error);
  EXPECT_FALSE(fs::exists(options.output));
}

TEST_F(Conversions, WritePathsThatAreFoundFromTheOutput) {
  struct InFolder {  // comes back also when an assertion ends the test
    explicit InFolder(const fs::path& folder) { fs::current_path(folder); }
    ~InFolder() { fs::current_path(home); }
    const fs::path home = fs::current_path();
  } const in_folder(folder_);
  fs::create_directories("elsewhere");
  write("clips/in.json", json::array({raw("four.mp4")}).dump());
  const auto path_in = [&](const std::string& output, const std::string& prefix) {
    ToStreamOptions options;
    options.input = "clips/in.json";
    options.output = output;
    options.video_prefix = prefix;
    convert_to_stream(options);
    return read(output)[0]["videos"][0].get<std::string>();
  };
  EXPECT_EQ(path_in("out.json", ""), "clips/four.mp4");
  EXPECT_EQ(path_in("out.json", "clips"), "clips/four.mp4");
  EXPECT_EQ(path_in("clips/out.json", ""), "four.mp4");
  EXPECT_EQ(path_in("clips/out.json", "clips"), "four.mp4");
  EXPECT_EQ(path_in("elsewhere/out.json", ""), (folder_ / "clips/four.mp4").string());
  EXPECT_EQ(path_in("out.json", (folder_ / "clips").string()),
            (folder_ / "clips/four.mp4").string());
}

TEST_F(Conversions, LeaveOutPathsThatLeadOutOfThePrefix) {
  fs::create_directories(folder_ / "empty");
  ToStreamOptions options;
  options.input = write("in.json", json::array({raw("../clips/four.mp4")}).dump());
  options.output = folder_ / "confined.json";
  options.video_prefix = folder_ / "empty";
  EXPECT_THROW(convert_to_stream(options), core::Error);
  EXPECT_THAT(read(report_path(options.output))["skipped"][0]["reason"].get<std::string>(),
              HasSubstr("../clips/four.mp4 leads out of the video prefix"));
  options.allow_outside_prefix = true;
  EXPECT_EQ(convert_to_stream(options).converted, 1u);
}

TEST_F(Conversions, RefuseTextThatIsNotUtf8) {
  ToStreamOptions options;
  options.input = write("in.json", json::array({raw("clips/four.mp4")}).dump());
  options.output = folder_ / "never.json";
  options.conversation.system_prompt = "\xFF";
  EXPECT_THROW(convert_to_stream(options), core::Error);
}

// A random time in one of the ways people write it, also wrong ones.
json random_time(core::Rng& rng) {
  const int64_t t = rng.integer(-1, 12);
  switch (rng.integer(0, 8)) {
    case 0:
      return t;
    case 1:
      return static_cast<double>(t) + 0.5;
    case 2:
      return std::to_string(t);
    case 3:
      return fmt::format("{}.{}", std::max<int64_t>(t, 0), rng.integer(0, 99));
    case 4:
      return fmt::format("00:{:02}", std::max<int64_t>(t, 0));
    case 5:
      return fmt::format("0:00:{:02}.{}", std::max<int64_t>(t, 0), rng.integer(0, 9));
    case 6:
      return "";
    case 7:
      return nullptr;
    default:
      return "soon";
  }
}

json random_record(core::Rng& rng, const std::string& video) {
  json record = {{"video_path", video}, {"question", json::array()}, {"response", json::array()}};
  if (rng.chance(0.5)) record["video_name"] = "name";
  for (int64_t i = rng.integer(0, 3); i > 0; --i) {
    record["question"].push_back(
        {{"content", rng.chance(0.9) ? fmt::format("question {}?", i) : ""}});
    if (rng.chance(0.8)) record["question"].back()["time"] = random_time(rng);
  }
  for (int64_t i = rng.integer(0, 5); i > 0; --i) {
    json response = {{"content", rng.chance(0.9) ? fmt::format("answer {}", i) : ""}};
    if (rng.chance(0.6)) {
      response["st_time"] = random_time(rng);
      response["end_time"] = random_time(rng);
    }
    if (rng.chance(0.6) || !response.contains("st_time")) response["time"] = random_time(rng);
    record["response"].push_back(response);
  }
  return record;
}

TEST_F(Conversions, AgreeWithASecondProgramOfTheSameRules) {
  if (test::run_command("python3 --version").exit_code != 0) GTEST_SKIP() << "no python3";
  for (const auto& [fps, turns] : {std::pair{1.0, 9}, std::pair{2.5, 23}}) {
    core::Rng rng({7, static_cast<uint64_t>(turns)});
    json records = json::array();
    for (int i = 0; i < 400; ++i) {
      records.push_back(random_record(rng, (folder_ / "clips/nine.mp4").string()));
    }
    ToStreamOptions options;
    options.input = write("in.json", records.dump());
    options.output = folder_ / "out.json";
    options.conversation = {fps, "the prompt", "the default question"};
    EXPECT_EQ(convert_to_stream(options).converted, 400u);
    const test::CommandResult oracle = test::run_command(
        fmt::format("python3 {}/tests/oracle/conversion_oracle.py {} {} {}", STREAMO_SOURCE_DIR,
                    test::shell_quote(options.input.string()), turns, fps));
    ASSERT_EQ(oracle.exit_code, 0) << oracle.err;
    const json expected = json::parse(oracle.out), converted = read(options.output);
    ASSERT_EQ(converted.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(converted[i], expected[i]) << records[i].dump(1);
    }
  }
}

class ImageConversions : public Conversions {
 protected:
  // Stream records of the raw ones, in out.json.
  static fs::path write_stream_file(const json& records) {
    to_stream(write("in.json", records.dump()));
    return folder_ / "out.json";
  }

  static ConversionReport to_image(const fs::path& input, const std::string& frames,
                                   std::optional<int64_t> max_frames = {}) {
    ToImageOptions options;
    options.input = input;
    options.output = folder_ / "images.json";
    options.frame_dir = folder_ / frames;
    options.max_frames = max_frames;
    options.num_workers = 3;
    return convert_to_image(options);
  }

  static std::vector<int> numbers(const json& images) {
    std::vector<int> numbers;
    for (const json& path : images) {
      const auto picture = video::sample_video(path.get<std::string>(), {});
      EXPECT_TRUE(picture && picture->size() == 1) << path;
      if (picture) numbers.push_back(test::read_number((*picture)[0].size, (*picture)[0].rgb));
    }
    return numbers;
  }
};

TEST_F(ImageConversions, WriteTheFramesOfEachTurn) {
  const fs::path input = write_stream_file(
      {raw("clips/four.mp4", "a"), raw("clips/b/four.mp4", "b"), raw("clips/four.mp4", "c")});
  const json streams = read(input);
  EXPECT_EQ(to_image(input, "frames").converted, 3u);
  const json converted = read(folder_ / "images.json");
  EXPECT_THAT(numbers(converted[0]["images"]), ElementsAre(0, 5, 10, 15));
  EXPECT_THAT(numbers(converted[1]["images"]), ElementsAre(0, 5, 10, 15, 20, 25, 30, 35, 40));
  EXPECT_EQ(converted[2]["images"], converted[0]["images"]);
  EXPECT_EQ(converted[0]["images"][1], (folder_ / "frames/four/000001.png").string());
  EXPECT_EQ(converted[1]["images"][0], (folder_ / "frames/four-2/000000.png").string());
  std::string text = converted[1]["messages"].dump();
  for (size_t at = 0; (at = text.find("<image>", at)) != std::string::npos;) {
    text.replace(at, 7, "<stream>");
  }
  EXPECT_EQ(json::parse(text), streams[1]["messages"]);
  EXPECT_FALSE(converted[0].contains("videos"));
}

TEST_F(ImageConversions, CutAfterTheLastWantedFrame) {
  const ConversionReport report =
      to_image(write_stream_file({raw("clips/nine.mp4"), raw("clips/four.mp4")}), "cut", 4);
  const json converted = read(folder_ / "images.json");
  EXPECT_EQ(converted[0]["images"].size(), 4u);
  EXPECT_EQ(converted[0]["messages"].size(), 9u);
  EXPECT_EQ(converted[1]["messages"].size(), 9u);
  EXPECT_FALSE(fs::exists(folder_ / "cut/nine/000004.png"));
  EXPECT_THAT(report.losses.truncated,
              ElementsAre("out.json:0: 5 of 9 rounds are beyond the first 4 frames"));
}

TEST_F(ImageConversions, MendADifferenceOfOneAndRefuseMore) {
  json records = read(write_stream_file({raw("clips/four.mp4"), raw("clips/four.mp4")}));
  const json round = {records[0]["messages"][1], records[0]["messages"][2]};
  for (int i = 0; i < 3; ++i) {
    for (const json& message : round) {
      if (i < 1) records[0]["messages"].push_back(message);
      records[1]["messages"].push_back(message);
    }
  }
  const ConversionReport report = to_image(write("mend.json", records.dump()), "mend");
  EXPECT_EQ(report.skipped.size(), 1u);
  EXPECT_THAT(report.skipped[0].second, HasSubstr("4 frames of"));
  EXPECT_THAT(numbers(read(folder_ / "images.json")[0]["images"]), ElementsAre(0, 5, 10, 15, 15));
}

TEST(OrderedPipeline, DeliversInOrderWithABoundedNumberWaiting) {
  constexpr size_t kCount = 300;
  std::atomic<size_t> claimed{0};
  size_t delivered = 0, largest_lead = 0;
  std::vector<size_t> order;
  ordered_pipeline(
      kCount, 4,
      [&](size_t i) {
        EXPECT_EQ(claimed++, i);
        return i;
      },
      [](size_t i) {
        if (i % 50 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
        return 2 * i;
      },
      [&](size_t i, size_t result) {
        EXPECT_EQ(result, 2 * i);
        order.push_back(i);
        largest_lead = std::max(largest_lead, claimed - delivered++);
      });
  EXPECT_EQ(order.size(), kCount);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  EXPECT_LE(largest_lead, 4u * 4 + 1);
}

TEST(OrderedPipeline, ThrowsWhatAnyPartThrows) {
  const auto same = [](size_t i) { return i; };
  const auto fail_at_20 = [](size_t i) {
    if (i == 20) throw std::runtime_error("twenty");
    return i;
  };
  const auto ignore = [](size_t, size_t) {};
  EXPECT_THROW(ordered_pipeline(100, 3, fail_at_20, same, ignore), std::runtime_error);
  EXPECT_THROW(ordered_pipeline(100, 3, same, fail_at_20, ignore), std::runtime_error);
  EXPECT_THROW(ordered_pipeline(100, 3, same, same, [&](size_t i, size_t) { fail_at_20(i); }),
               std::runtime_error);
  ordered_pipeline(0, 3, fail_at_20, same, ignore);
}

TEST(OnceMap, MakesEachValueOnce) {
  Memoized<int> map;
  std::atomic<int> made{0};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (const char* key : {"a", "b", "c"}) EXPECT_EQ(map.get(key, [&] { return ++made, 7; }), 7);
    });
  }
  threads.clear();
  EXPECT_EQ(made, 3);
}

}  // namespace
}  // namespace streamo::data
