// Finding records in JSON files of every shape, and naming the place of what is broken. The truth:
// the files are written here, line by line.
#include "data/formats/record_file.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "data/formats/record_scanner.h"

namespace streamo::data {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

class RecordFiles : public testing::Test {
 protected:
  RecordFiles()
      : folder_(fs::path(testing::TempDir()) / ("records-" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~RecordFiles() override { fs::remove_all(folder_); }

  fs::path write(const std::string& content, const std::string& name = "a.json") const {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return folder_ / name;
  }

  // The "n" of each record, as "0 1 2"; the message when the file or a record is refused.
  std::string numbers(const std::string& content, const std::string& name = "a.json") const {
    try {
      const RecordFile file(write(content, name));
      std::string text;
      for (size_t i = 0; i < file.size(); ++i) {
        const auto record = file.read(i);
        if (!record) return record.reason();
        text += (i == 0 ? "" : " ") + record->at("n").dump();
      }
      return text;
    } catch (const core::Error& error) {
      EXPECT_EQ(error.kind(), core::ErrorKind::kData);
      return error.what();
    }
  }

  fs::path folder_;
};

TEST_F(RecordFiles, AreReadInEveryShape) {
  EXPECT_EQ(numbers(R"([{"n": 0}, {"n": 1},{"n":2}])"), "0 1 2");
  EXPECT_EQ(numbers("\n[\n  {\n    \"n\": 0\n  },\n  {\"n\": 1}\n]\n"), "0 1");
  EXPECT_EQ(numbers("{\"n\": 0}\n{\"n\": 1}\n"), "0 1");
  EXPECT_EQ(numbers("{\"n\": 0}\n{\"n\": 1}"), "0 1");
  EXPECT_EQ(numbers("\n\n{\"n\": 0}\n\n  \n{\"n\": 1}\n\n"), "0 1");
  EXPECT_EQ(numbers("{\"n\": 0}\r\n{\"n\": 1}\r\n"), "0 1");
  EXPECT_EQ(numbers("[\r\n{\"n\": 0},\r\n{\"n\": 1}\r\n]\r\n"), "0 1");
  EXPECT_EQ(numbers("\xEF\xBB\xBF[{\"n\": 0}]"), "0");
  EXPECT_EQ(numbers("\xEF\xBB\xBF{\"n\": 0}\n{\"n\": 1}\n"), "0 1");
  EXPECT_EQ(numbers("{\n  \"n\": 0\n}\n"), "0");
  EXPECT_EQ(numbers("[]"), "");
}

TEST_F(RecordFiles, KnowTheirLayout) {
  EXPECT_EQ(RecordFile(write("[{}]")).layout(), RecordLayout::kArray);
  EXPECT_EQ(RecordFile(write("{}\n{}\n")).layout(), RecordLayout::kLines);
  EXPECT_EQ(RecordFile(write("{}\n", "a.jsonl")).layout(), RecordLayout::kLines);
  EXPECT_EQ(RecordFile(write("{}\n")).layout(), RecordLayout::kSingleObject);
  EXPECT_TRUE(RecordFile(write("{}\n")).single_object());
}

TEST_F(RecordFiles, AreNotFooledByStrings) {
  const json tricky = {
      {"n", 1}, {"text", "}{][\",:\\ \\\" \n end\\"}, {"deep", {{"a", {1, {{"b", "}"}}, "]"}}}}};
  for (const std::string& content : {"[" + tricky.dump() + "," + tricky.dump(2) + "]",
                                     tricky.dump() + "\n" + tricky.dump() + "\n"}) {
    const RecordFile file(write(content));
    ASSERT_EQ(file.size(), 2u);
    EXPECT_EQ(*file.read(0), tricky);
    EXPECT_EQ(*file.read(1), tricky);
    EXPECT_EQ(file.raw(0), tricky.dump());
  }
}

// Pieces of every size give the same spans: no state is lost between two reads of the file.
TEST_F(RecordFiles, AreScannedInAnyPieces) {
  const std::string text = "[ {\"a\\\\\": \"}\\\"\\u00e9\"},\n{\"b\": [1, {\"c\": \"\\\\\"}]}\n]\n";
  std::vector<std::pair<uint64_t, uint64_t>> expected;
  for (size_t size = 1; size <= text.size(); ++size) {
    RecordScanner scanner("f", 0);
    for (size_t at = 0; at < text.size(); at += size)
      scanner.feed(std::string_view(text).substr(at, size));
    scanner.finish();
    std::vector<std::pair<uint64_t, uint64_t>> spans;
    for (const RecordSpan& span : scanner.take_records())
      spans.emplace_back(span.offset, span.length);
    if (size == 1) expected = spans;
    EXPECT_EQ(spans, expected) << size;
  }
  ASSERT_EQ(expected.size(), 2u);
  EXPECT_EQ(text.substr(expected[1].first, expected[1].second), "{\"b\": [1, {\"c\": \"\\\\\"}]}");
}

TEST_F(RecordFiles, NameThePlaceOfBrokenStructure) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> cases = {
      {"", {"empty", "line 1"}},
      {" \n\n", {"empty"}},
      {"hello", {"'h' where a record {", "line 1, column 1"}},
      {"[1, 2]", {"'1' where a record {", "line 1, column 2"}},
      {std::string("[\0{}]", 5), {"byte 0x00", "column 2"}},
      {"[{\"n\": 0},\n]", {"a comma before the closing ]", "line 2, column 1"}},
      {"[{\"n\": 0}\n {\"n\": 1}]", {"'{' where a comma or ] belongs", "line 2, column 2"}},
      {"[{\"n\": 0}", {"the array is not closed"}},
      {"[{\"n\": 0},", {"the array is not closed"}},
      {"[{\"n\": 0},\n{\"n\": [1}]", {"'}' where ']' belongs", "line 2, column 9"}},
      {"[{\"n\": 0},\n\n{\"n\": 1", {"begins in line 3 is not closed"}},
      {"[{\"n\": 0}]\n{\"n\": 1}", {"'{' after the end of the array", "line 2, column 1"}},
      {"[{\"n\": 0}]]", {"']' after the end of the array"}},
      {"{\"n\": 0}\n{\"n\": \"a\n{\"n\": 2}\n",
       {"the line ends inside a string", "line 2, column 9"}},
      {"{\"n\": 0}\n{\"n\": {\"a\": 1}\n{\"n\": 2}\n", {"the line ends inside a record", "line 2"}},
      {"{\"n\": 0}{\"n\": 1}\n", {"two records on one line", "line 1, column 9"}},
      {"{\"n\": 0},\n{\"n\": 1}\n", {"',' where a record {", "line 1, column 9"}},
      {"{\"n\": 0}}\n", {"'}' where a record {"}},
      {"{\n\"n\": 0\n}\n{\n\"n\": 1\n}\n",
       {"a second record after one of several lines", "line 4"}},
      {"\xFF\xFE[\0", {"UTF-16"}},
      {"[{\"n\": " + std::string(200, '[') + std::string(200, ']') + "}]",
       {"nested deeper than 128"}},
  };
  for (const auto& [content, expected] : cases) {
    const std::string message = numbers(content);
    EXPECT_THAT(message, HasSubstr("a.json"));
    for (const std::string& part : expected) EXPECT_THAT(message, HasSubstr(part)) << content;
  }
}

TEST_F(RecordFiles, NameThePlaceOfBrokenRecords) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> cases = {
      {"[{\"n\": 0},\n {\"n\": tru}]", {"record 1, line 2, column 11", "syntax error"}},
      {"{\"n\": 0}\n{\"n\": 1,}\n", {"record 1, line 2, column 9"}},
      {"[{\"n\": \"\xFF\"}]", {"record 0, line 1", "UTF-8"}},
      {"[{\"n\": \"\\ud800\"}]", {"record 0, line 1", "surrogate"}},
      {std::string("[{\"n\": \0}]", 10), {"record 0"}},
      {"[{\"n\": 1e999}]", {"record 0, line 1", "number overflow"}},
      {"[{\"n\": 1},\n{\"n\": 2, \"a\": {\"n\": 1}, \"n\": 3}]",
       {"record 1, line 2", "key \"n\" is given twice"}},
  };
  for (const auto& [content, expected] : cases) {
    const std::string message = numbers(content);
    EXPECT_THAT(message, HasSubstr("a.json"));
    for (const std::string& part : expected) EXPECT_THAT(message, HasSubstr(part)) << content;
  }
  // A broken record leaves the others alone.
  const RecordFile file(write("{\"n\": 0}\n{\"n\": x}\n{\"n\": 2}\n"));
  EXPECT_TRUE(file.read(0) && !file.read(1) && file.read(2));
}

// 24 hours at a turn a second; by the JSON library's callbacks it took 134 s.
TEST_F(RecordFiles, ADayOfTurnsIsReadInAMoment) {
  std::string text = "[{\"n\": 0, \"messages\": [";
  for (int second = 0; second < 24 * 3600; ++second) {
    text += fmt::format(R"({}{{"role":"user","content":"<{}s-{}s>\n<stream>"}},)"
                        R"({{"role":"assistant","content":"</Silence>"}})",
                        second == 0 ? "" : ",", second, second + 1);
  }
  const RecordFile file(write(text + "]}]"));
  const auto start = std::chrono::steady_clock::now();
  const auto record = file.read(0);
  ASSERT_TRUE(record) << record.reason();
  EXPECT_EQ(record->at("messages").size(), 2u * 24 * 3600);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST_F(RecordFiles, CountLinesFromTheNearestKnownOne) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "\n{\"n\": 0}\n";
  const RecordFile file(write(text));
  for (size_t i = 0; i < file.size(); ++i) {
    EXPECT_THAT(file.place(i), HasSubstr("record " + std::to_string(i) + ", line " +
                                         std::to_string(2 * i + 2) + ", column 1"));
  }
}

TEST_F(RecordFiles, MustBeRegularFiles) {
  EXPECT_THROW(RecordFile(folder_ / "none.json"), core::Error);
  EXPECT_THROW(RecordFile{folder_}, core::Error);
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_THROW(RecordFile(folder_ / "pipe"), core::Error);  // and does not wait for a writer
}

TEST_F(RecordFiles, RefuseEndlessRecords) {
  RecordScanner scanner("f", 0);
  const std::string piece(8 << 20, 'x');
  scanner.feed("{\"a\": \"");
  EXPECT_THROW(for (int i = 0; i < 9; ++i) scanner.feed(piece), core::Error);
}

TEST_F(RecordFiles, AreReadByManyThreads) {
  std::string text = "[";
  for (int i = 0; i < 500; ++i) text += (i ? ",\n{\"n\": " : "{\"n\": ") + std::to_string(i) + "}";
  const RecordFile file(write(text + "]"));
  std::vector<std::jthread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (size_t i = 0; i < file.size(); ++i) {
        const auto record = file.read(i);
        if (!record || record->at("n") != i) ++wrong;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(wrong, 0);
}

// 50 MB of records on top of what the process has: the scan must not hold the file. Peak memory
// grows by the buffer and 17 bytes a record; 16 MB leaves room for the allocator.
TEST_F(RecordFiles, StayOnDisk) {
  constexpr size_t kRecords = 10000;
  {
    std::ofstream out(folder_ / "large.json", std::ios::binary);
    const std::string filler(5000, 'x');
    for (size_t i = 0; i < kRecords; ++i) {
      out << (i == 0 ? "[" : ",\n") << R"({"n": )" << i << R"(, "text": ")" << filler << "\"}";
    }
    out << "]";
  }
  rusage before{}, after{};
  ::getrusage(RUSAGE_SELF, &before);
  const RecordFile file(folder_ / "large.json");
  ::getrusage(RUSAGE_SELF, &after);
  EXPECT_EQ(file.size(), kRecords);
  EXPECT_EQ(file.read(kRecords - 1)->at("n"), kRecords - 1);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 16 << 10);  // in KB
}

}  // namespace
}  // namespace streamo::data
