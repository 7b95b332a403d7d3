// Truth: the format's specification (8 bytes of header length, JSON, data without gap or overlap).
// Files are written here byte by byte, the way an attacker or a broken download would; each must be
// refused with the reason, and nothing of it may crash, hang or take much memory.
#include "model/weights/safetensors_header.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <cstring>

#include "core/rng.h"

namespace streamo::model {
namespace {

std::string file_of(const std::string& header, size_t data_bytes, int64_t claimed_length = -1) {
  const auto length = claimed_length < 0 ? static_cast<uint64_t>(header.size())
                                         : static_cast<uint64_t>(claimed_length);
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + std::string(data_bytes, 'x');
}

std::string reason_of(const std::string& file) {
  const auto header = parse_safetensors_header(file);
  return header ? "accepted" : header.reason();
}

std::string u8(const std::string& name, size_t begin, size_t end) {
  return fmt::format(R"("{}":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}})", name,
                     end - begin, begin, end);
}

int64_t peak_kilobytes() {
  struct rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

TEST(SafetensorsHeader, OrderIsThatOfTheDataAndNamesAreFound) {
  const auto header = parse_safetensors_header(file_of("{" + u8("a", 4, 6) + "," + u8("b", 0, 4) +
                                                           "," + u8("none", 4, 4) +
                                                           R"(,"__metadata__":{"format":"pt"}}  )",
                                                       6));
  ASSERT_TRUE(header) << header.reason();
  ASSERT_EQ(header->tensors.size(), 3U);
  EXPECT_EQ(header->tensors[0].name, "b");
  EXPECT_EQ(header->tensors[1].name, "none");
  EXPECT_EQ(header->find("a")->begin, 4U);
  EXPECT_EQ(header->find("a")->shape, std::vector<int64_t>{2});
  EXPECT_EQ(header->find("c"), nullptr);
  EXPECT_EQ(header->metadata.at("format"), "pt");
}

TEST(SafetensorsHeader, EmptyFilesAndEmptyTensorsAreValid) {
  EXPECT_EQ(reason_of(file_of("{}", 0)), "accepted");
  EXPECT_EQ(reason_of(file_of("{" + u8("a", 0, 0) + "," + u8("b", 0, 0) + "}", 0)), "accepted");
  EXPECT_EQ(reason_of(file_of(R"({"x":{"dtype":"F64","shape":[],"data_offsets":[0,8]}})", 8)),
            "accepted");
}

struct Hostile {
  const char* name;
  std::string header;
  size_t data_bytes;
  int64_t claimed_length;
  const char* expected;  // part of the message
};

void PrintTo(const Hostile& hostile, std::ostream* out) {
  *out << hostile.name;
}

class HostileSafetensors : public testing::TestWithParam<Hostile> {};

TEST_P(HostileSafetensors, IsRefused) {
  const Hostile& hostile = GetParam();
  EXPECT_THAT(reason_of(file_of(hostile.header, hostile.data_bytes, hostile.claimed_length)),
              testing::HasSubstr(hostile.expected));
}

std::string one(const std::string& fields) {
  return R"({"x":{)" + fields + "}}";
}

INSTANTIATE_TEST_SUITE_P(
    Lengths, HostileSafetensors,
    testing::Values(Hostile{"zero", "{}", 0, 0, "not a JSON object"},
                    Hostile{"beyond_file", "{}", 0, 1000, "header of 1000 bytes"},
                    Hostile{"one_beyond_file", "{}", 0, 3, "header of 3 bytes in a file of 10"},
                    Hostile{"largest_signed", "{}", 0, INT64_MAX,
                            "header of 9223372036854775807 bytes"},
                    Hostile{"beyond_limit", "{}", 0, 100'000'001, "header of 100000001 bytes"}),
    [](const auto& instance) { return std::string(instance.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Json, HostileSafetensors,
    testing::Values(
        Hostile{"not_json", "{nonsense", 0, -1, "not JSON at its byte 3"},
        Hostile{"array", "[]", 0, -1, "not a JSON object"},
        Hostile{"unfinished", R"({"x":{"dtype":"U8")", 0, -1, "not JSON"},
        Hostile{"two_documents", "{}{}", 0, -1, "not JSON"},
        Hostile{"zero_byte_hides_the_rest", std::string("{}\0{garbage", 11), 0, -1, "zero byte"},
        Hostile{"byte_order_mark", "\xef\xbb\xbf{}", 0, -1, "not a JSON object"},
        Hostile{"name_not_utf8", "{\"\xff\xfe\":{}}", 0, -1, "not JSON"},
        Hostile{"name_half_surrogate", R"({"\ud800":{}})", 0, -1, "not JSON"},
        Hostile{"entry_no_object", R"({"x":3})", 0, -1, "malformed"},
        Hostile{"entry_null", R"({"x":null})", 0, -1, "malformed"},
        Hostile{"metadata_no_strings", R"({"__metadata__":{"a":1}})", 0, -1, "malformed"},
        Hostile{"metadata_nested", R"({"__metadata__":{"a":{"b":"c"}}})", 0, -1, "malformed"},
        Hostile{"metadata_twice", R"({"__metadata__":{},"__metadata__":{}})", 0, -1, "twice"},
        Hostile{"metadata_key_twice", R"({"__metadata__":{"a":"1","a":"2"}})", 0, -1,
                "metadata \"a\" is there twice"},
        Hostile{"deep_lists", std::string("{\"x\":") + std::string(1'000'000, '['), 0, -1,
                "malformed"},
        Hostile{"deep_shape", R"({"x":{"dtype":"U8","shape":)" + std::string(1'000'000, '['), 0, -1,
                "malformed"},
        Hostile{"deep_objects",
                [] {
                  std::string text = "{";
                  for (int i = 0; i < 200'000; ++i) text += "\"x\":{";
                  return text;
                }(),
                0, -1, "unknown field \"x\""},
        Hostile{"name_too_long", "{\"" + std::string(5000, 'n') + "\":{}}", 0, -1,
                "a key of 5000 bytes"}),
    [](const auto& instance) { return std::string(instance.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Entries, HostileSafetensors,
    testing::Values(
        Hostile{"no_shape", one(R"("dtype":"F32","data_offsets":[0,4])"), 4, -1, "malformed"},
        Hostile{"no_dtype", one(R"("shape":[1],"data_offsets":[0,4])"), 4, -1, "malformed"},
        Hostile{"no_offsets", one(R"("dtype":"F32","shape":[1])"), 4, -1, "malformed"},
        Hostile{"empty", one(""), 0, -1, "malformed"},
        Hostile{"unknown_field", one(R"("dtype":"U8","shape":[1],"data_offsets":[0,1],"s":1)"), 1,
                -1, "unknown field \"s\""},
        Hostile{"field_twice", one(R"("dtype":"U8","dtype":"F32","shape":[1])"), 4, -1,
                "dtype is there twice"},
        Hostile{"unknown_dtype", one(R"("dtype":"F7","shape":[1],"data_offsets":[0,4])"), 4, -1,
                "tensor \"x\": dtype \"F7\" is not supported"},
        Hostile{"float8", one(R"("dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4])"), 4, -1,
                "FP8 is not supported, dtype \"F8_E4M3\""},
        Hostile{"unsigned64", one(R"("dtype":"U64","shape":[1],"data_offsets":[0,8])"), 8, -1,
                "dtype \"U64\" is not supported"},
        Hostile{"dtype_no_text", one(R"("dtype":7,"shape":[1],"data_offsets":[0,4])"), 4, -1,
                "malformed"},
        Hostile{"escape_sequence_in_name", "{\"\\u001b[2J\":{\"dtype\":\"F7\"}}", 0, -1,
                "\"\\u001b[2J\""},
        Hostile{"doubled_name", "{" + u8("x", 0, 4) + "," + u8("x", 4, 8) + "}", 8, -1,
                "\"x\" is there twice"},
        Hostile{"doubled_by_escape", "{" + u8("x", 0, 4) + "," + u8("\\u0078", 4, 8) + "}", 8, -1,
                "\"x\" is there twice"},
        Hostile{"negative_side", one(R"("dtype":"U8","shape":[-1,-4],"data_offsets":[0,4])"), 4, -1,
                "bad number -1"},
        Hostile{"fraction", one(R"("dtype":"U8","shape":[4.5],"data_offsets":[0,4])"), 4, -1,
                "bad number 4.5"},
        Hostile{"side_beyond_signed",
                one(R"("dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,4])"), 4, -1,
                "bad number 18446744073709551615"},
        Hostile{"side_beyond_unsigned",
                one(R"("dtype":"U8","shape":[18446744073709551620],"data_offsets":[0,4])"), 4, -1,
                "bad number"},
        Hostile{"offset_infinite", one(R"("dtype":"U8","shape":[4],"data_offsets":[0,1e999])"), 4,
                -1, "not JSON"},
        Hostile{"one_offset", one(R"("dtype":"U8","shape":[0],"data_offsets":[0])"), 0, -1,
                "malformed"},
        Hostile{"three_offsets", one(R"("dtype":"U8","shape":[4],"data_offsets":[0,4,8])"), 4, -1,
                "not two"}),
    [](const auto& instance) { return std::string(instance.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Places, HostileSafetensors,
    testing::Values(
        Hostile{"truncated", one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])"), 4, -1,
                "cut short: its tensors take 8 bytes, 4 are there"},
        Hostile{"backwards", one(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])"), 4, -1,
                "do not fit"},
        Hostile{"shape_too_small", one(R"("dtype":"F32","shape":[1],"data_offsets":[0,8])"), 8, -1,
                "data_offsets [0, 8] do not fit F32 of shape [1]"},
        Hostile{"offsets_wrap",
                one(R"("dtype":"U8","shape":[4],"data_offsets":[18446744073709551614,2])"), 4, -1,
                "do not fit"},
        Hostile{"product_wraps_to_four",  // 4 * (2^62 + 1) = 4 modulo 2^64
                one(R"("dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4])"), 4, -1,
                "do not fit"},
        Hostile{"product_wraps_to_zero",
                one(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0])"), 0, -1,
                "do not fit"},
        Hostile{"zero_side_hides_the_product",  // its strides would overflow
                one(R"("dtype":"U8","shape":[0,4294967296,4294967296],"data_offsets":[0,0])"), 0,
                -1, "do not fit"},
        Hostile{"overlap", "{" + u8("x", 0, 4) + "," + u8("y", 2, 6) + "}", 6, -1,
                "tensors \"x\" and \"y\" overlap"},
        Hostile{"the_same_bytes", "{" + u8("x", 0, 4) + "," + u8("y", 0, 4) + "}", 4, -1,
                "overlap"},
        Hostile{"empty_inside_another", "{" + u8("x", 0, 4) + "," + u8("y", 2, 2) + "}", 4, -1,
                "overlap"},
        Hostile{"gap", "{" + u8("x", 0, 4) + "," + u8("y", 6, 10) + "}", 10, -1,
                "gap of 2 bytes before tensor \"y\""},
        Hostile{"gap_at_the_start", "{" + u8("x", 1, 4) + "}", 4, -1, "gap of 1 bytes"},
        Hostile{"bytes_of_nobody", "{" + u8("x", 0, 4) + "}", 6, -1,
                "2 bytes at the end belong to no tensor"},
        Hostile{"no_tensor_but_data", "{}", 1, -1, "1 bytes at the end"}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST(SafetensorsHeader, EveryTruncationOfAFileIsRefused) {
  const std::string whole =
      file_of("{" + u8("a", 0, 4) + "," + u8("b", 4, 10) + R"(,"__metadata__":{"k":"v"}})", 10);
  ASSERT_EQ(reason_of(whole), "accepted");
  for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
    EXPECT_NE(reason_of(whole.substr(0, bytes)), "accepted") << bytes;
  }
}

TEST(SafetensorsHeader, NoDamageIsMoreThanAFault) {
  const std::string whole =
      file_of("{" + u8("a", 0, 4) + "," + u8("b", 4, 10) + R"(,"__metadata__":{"k":"v"}})", 10);
  core::Rng rng({9});
  constexpr std::string_view kBytes = "{}[]\",:\\0a \xff\n-e9";
  for (int round = 0; round < 20'000; ++round) {
    std::string file = whole;
    for (int64_t change = rng.integer(1, 4); change > 0; --change) {
      const auto at = static_cast<size_t>(rng.integer(0, static_cast<int64_t>(file.size()) - 1));
      file[at] = kBytes[static_cast<size_t>(rng.integer(0, kBytes.size() - 1))];
    }
    const auto header = parse_safetensors_header(file);
    if (!header) continue;
    for (const TensorEntry& tensor : header->tensors) {
      ASSERT_LE(header->data_begin + tensor.end, file.size());
    }
  }
}

// A header near the limit: a million tensors, none of them useful. Twice the limit of memory on top
// of the file is what it may take.
TEST(SafetensorsHeader, AMillionTensorsTakeBoundedTimeAndMemory) {
  std::string header = "{";
  header.reserve(100'000'000);
  for (int i = 0; i < 1'000'000; ++i) {
    header += (i > 0 ? "," : "") + u8(fmt::format("tensor.{:07}", i), static_cast<size_t>(i),
                                      static_cast<size_t>(i) + 1);
  }
  header += "}";
  ASSERT_LT(header.size(), 100'000'000U);
  const std::string file = file_of(header, 1'000'000);
  header = {};
  const int64_t before = peak_kilobytes();
  const auto begin = std::chrono::steady_clock::now();
  const auto parsed = parse_safetensors_header(file);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  ASSERT_TRUE(parsed) << parsed.reason();
  EXPECT_EQ(parsed->tensors.size(), 1'000'000U);
  EXPECT_EQ(parsed->find("tensor.0765432")->begin, 765'432U);
  EXPECT_LT(peak_kilobytes() - before, 200'000);
  EXPECT_LT(seconds.count(), 10);
  RecordProperty("kilobytes", std::to_string(peak_kilobytes() - before));
  RecordProperty("seconds", std::to_string(seconds.count()));
}

}  // namespace
}  // namespace streamo::model
