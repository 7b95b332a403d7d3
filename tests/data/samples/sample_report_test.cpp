#include "data/samples/sample_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "core/io/file.h"
#include "streamo/core/error.h"
#include "support/file_size_limit.h"

namespace streamo::data {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::ElementsAre;
using testing::Pair;

class SampleReports : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  std::vector<json> lines() const {
    std::vector<json> lines;
    std::ifstream file(path_);
    for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line));
    return lines;
  }

  const fs::path folder_ =
      fs::path(testing::TempDir()) / ("sample-report-" + std::to_string(::getpid()));
  const fs::path path_ = folder_ / "skipped.jsonl";
};

TEST_F(SampleReports, ListASampleOnceWithItsFirstReason) {
  SampleReport report(path_);
  EXPECT_FALSE(fs::exists(path_)) << "a run without bad samples has no list";
  report.add("a.json:3", "clip.mp4: no video stream");
  report.add("a.json:1", "two\nlines and \"quotes\"");
  report.add("a.json:3", "another reason");
  EXPECT_EQ(report.size(), 2);
  EXPECT_THAT(report.entries(), ElementsAre(Pair("a.json:1", "two\nlines and \"quotes\""),
                                            Pair("a.json:3", "clip.mp4: no video stream")));
  EXPECT_THAT(lines(),  // while the report lives: a run that is killed has its list
              ElementsAre(json{{"id", "a.json:3"}, {"reason", "clip.mp4: no video stream"}},
                          json{{"id", "a.json:1"}, {"reason", "two\nlines and \"quotes\""}}));
}

TEST_F(SampleReports, AreWrittenLaterWhereTheDiskIsFull) {
  SampleReport report(path_);
  report.add("a.json:1", "first");
  {
    const test::FileSizeLimit full(fs::file_size(path_) + 5);
    report.add("a.json:2", "second");
    EXPECT_EQ(report.size(), 2);
    EXPECT_EQ(lines().size(), 1U) << "whole lines only";
  }
  report.add("a.json:3", "third");
  EXPECT_EQ(lines().size(), 3U);
}

TEST_F(SampleReports, OnlyCountWithoutAFile) {
  SampleReport report;
  report.add("a", "b");
  EXPECT_EQ(report.size(), 1);
}

TEST_F(SampleReports, GoOnInAResumedRunsFile) {
  {
    SampleReport first_run(path_);
    first_run.add("a", "missing");
    first_run.add("b", "missing");
  }
  SampleReport report(path_);
  EXPECT_EQ(report.size(), 0) << "what was bad may have been mended";
  report.add("a", "missing");
  report.add("c", "broken");
  EXPECT_EQ(report.size(), 2);
  ASSERT_EQ(lines().size(), 3u) << "a is listed once";
  EXPECT_EQ(lines()[2]["id"], "c");
}

TEST_F(SampleReports, SurviveATornLine) {
  std::ofstream(path_) << "{\"id\":\"a\",\"reason\":\"x\"}\n{\"id\":\"to";
  SampleReport report(path_);
  report.add("a", "x");
  EXPECT_EQ(report.size(), 1);
  report.add("b", "y");
  EXPECT_THAT(core::read_file(path_), testing::EndsWith("to\n{\"id\":\"b\",\"reason\":\"y\"}\n"));
}

TEST_F(SampleReports, KeepALineWhoseBytesAreNoText) {
  SampleReport(path_).add("a", "clip-\xff.mp4: missing");
  ASSERT_EQ(lines().size(), 1u);
  EXPECT_EQ(lines()[0]["reason"], "clip-\xef\xbf\xbd.mp4: missing");  // U+FFFD
}

TEST_F(SampleReports, MayBeToldByManyThreads) {
  SampleReport report(path_);
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&report] {
        for (int i = 0; i < 50; ++i) report.add(std::to_string(i), "bad");
      });
    }
  }
  EXPECT_EQ(report.size(), 50);
  EXPECT_EQ(lines().size(), 50u);
}

TEST_F(SampleReports, StopARunWhenTooManyAreBad) {
  SampleReport report;
  report.add("b:7", "gone.mp4: missing");
  report.check_fraction(0.2, 8);  // 1 of 8 is less
  try {
    report.check_fraction(0.1, 8);
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kData);
    EXPECT_THAT(error.what(), testing::HasSubstr("1 of 8 samples cannot be used"));
    EXPECT_THAT(error.what(), testing::HasSubstr("data.max_bad_fraction = 0.1"));
    EXPECT_THAT(error.what(), testing::HasSubstr("gone.mp4"));
  }
}

TEST_F(SampleReports, SayWhyTheyCannotBeWritten) {
  testing::internal::CaptureStderr();
  { SampleReport(folder_ / "missing/skipped.jsonl").add("a", "b"); }
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_THAT(said, testing::HasSubstr("warning: "));
  EXPECT_THAT(said, testing::HasSubstr("missing/skipped.jsonl"));
  EXPECT_THAT(said, testing::HasSubstr("No such file"));
}

}  // namespace
}  // namespace streamo::data
