// Truth: RFC 3720 B.4 for crc32c; an independent reading of the bytes for the rest (the files were
// also opened with TensorBoard 2's own reader).
#include "metrics/tensorboard.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <optional>

#include "core/io/file.h"
#include "streamo/core/error.h"

namespace streamo::metrics {
namespace {

namespace fs = std::filesystem;

TEST(Crc32c, KnownVectors) {
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43U);
  std::string rising;
  for (char c = 0; c < 32; ++c) rising += c;
  EXPECT_EQ(crc32c(rising), 0x46DD794EU);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc32c(""), 0U);
}

// Just enough of protobuf: the fields of a message, by number.
struct Field {
  uint64_t number = 0;  // varint and fixed
  std::string bytes;
};

class Message {
 public:
  explicit Message(const std::string& bytes) {
    for (size_t at = 0; at < bytes.size();) {
      const uint64_t key = varint(bytes, at);
      Field field;
      switch (key & 7U) {
        case 0:
          field.number = varint(bytes, at);
          break;
        case 1:
          field.number = fixed(bytes, at, 8);
          break;
        case 5:
          field.number = fixed(bytes, at, 4);
          break;
        case 2: {
          const uint64_t size = varint(bytes, at);
          field.bytes = bytes.substr(at, size);
          at += size;
          break;
        }
        default:
          ADD_FAILURE() << "wire type " << (key & 7U);
          return;
      }
      fields_.emplace(key >> 3, field);
    }
  }
  size_t count(uint64_t number) const { return fields_.count(number); }
  const Field& at(uint64_t number) const { return fields_.find(number)->second; }
  auto all(uint64_t number) const { return fields_.equal_range(number); }

 private:
  static uint64_t varint(const std::string& bytes, size_t& at) {
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const auto byte = static_cast<uint8_t>(bytes.at(at++));
      value |= static_cast<uint64_t>(byte & 0x7FU) << shift;
      if (byte < 0x80) return value;
    }
  }
  static uint64_t fixed(const std::string& bytes, size_t& at, size_t size) {
    uint64_t value = 0;
    std::memcpy(&value, bytes.data() + at, size);
    at += size;
    return value;
  }
  std::multimap<uint64_t, Field> fields_;
};

std::vector<Message> read_events(const fs::path& path) {
  const std::string file = core::read_file(path);
  std::vector<Message> events;
  for (size_t at = 0; at < file.size();) {
    uint64_t length = 0;
    uint32_t length_crc = 0, payload_crc = 0;
    std::memcpy(&length, file.data() + at, 8);
    std::memcpy(&length_crc, file.data() + at + 8, 4);
    std::memcpy(&payload_crc, file.data() + at + 12 + length, 4);
    EXPECT_EQ(length_crc, masked_crc32c(file.substr(at, 8)));
    const std::string payload = file.substr(at + 12, length);
    EXPECT_EQ(payload_crc, masked_crc32c(payload));
    events.emplace_back(payload);
    at += 16 + length;
  }
  return events;
}

fs::path fresh_folder(const std::string& name) {
  const fs::path folder = fs::path(testing::TempDir()) / ("tensorboard_" + name);
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

TEST(TensorBoardWriter, WritesReadableEvents) {
  fs::path path;
  {
    TensorBoardWriter writer(fresh_folder("events"), 0);
    path = writer.path();
    writer.write(300, {{"loss/total", 0.5}, {"recall/Silence", -2.25}});
  }
  EXPECT_EQ(path.filename().string().rfind("events.out.tfevents.", 0), 0U);
  const std::vector<Message> events = read_events(path);
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].at(3).bytes, "brain.Event:2");
  EXPECT_EQ(events[1].at(2).number, 300U);
  double wall_time = 0;
  std::memcpy(&wall_time, &events[1].at(1).number, sizeof(wall_time));
  EXPECT_GT(wall_time, 1.7e9);
  std::map<std::string, float> values;
  const Message summary(events[1].at(5).bytes);
  for (auto [it, end] = summary.all(1); it != end; ++it) {
    const Message value(it->second.bytes);
    float number = 0;
    std::memcpy(&number, &value.at(2).number, sizeof(number));
    values[value.at(1).bytes] = number;
  }
  EXPECT_EQ(values,
            (std::map<std::string, float>{{"loss/total", 0.5F}, {"recall/Silence", -2.25F}}));
}

TEST(TensorBoardWriter, AResumedRunTellsToForgetLaterSteps) {
  const fs::path folder = fresh_folder("resume");
  const TensorBoardWriter first(folder, 0), second(folder, 40);  // within one second: two names
  EXPECT_LT(first.path(), second.path());
  EXPECT_EQ(read_events(first.path()).size(), 1U);
  const std::vector<Message> events = read_events(second.path());
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[1].at(2).number, 41U);
  EXPECT_EQ(Message(events[1].at(7).bytes).at(1).number, 1U);  // SessionLog.START
}

TEST(TensorBoardWriter, AFolderThatCannotBeIsAnError) {
  EXPECT_THROW(TensorBoardWriter("/dev/null/folder", 0), core::Error);
}

}  // namespace
}  // namespace streamo::metrics
