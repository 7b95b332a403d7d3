// Truth: the format's specification (8 bytes of header length, JSON, data without gap). Files are
// written here byte by byte, the way an attacker or a broken download would.
#include "streamo/model/safetensors.h"

#include <cstring>
#include <fstream>

#include "golden.h"
#include "streamo/core/error.h"

namespace streamo::model {
namespace {

namespace fs = std::filesystem;
using torch::Tensor;

fs::path write_raw(const std::string& header, const std::string& data,
                   int64_t claimed_length = -1) {
  const fs::path path = fresh_folder() / "raw.safetensors";
  const auto length = claimed_length < 0 ? static_cast<uint64_t>(header.size())
                                         : static_cast<uint64_t>(claimed_length);
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  std::ofstream(path, std::ios::binary) << bytes << header << data;
  return path;
}

std::string message_of(const fs::path& path) {
  try {
    const SafetensorsFile file(path);
    return "accepted";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kModel);
    EXPECT_NE(std::string(error.what()).find(path.string()), std::string::npos);
    return error.what();
  }
}

TEST(Safetensors, RoundTripOfTypesShapesAndMetadata) {
  const fs::path path = fresh_folder() / "a.safetensors";
  std::map<std::string, Tensor> tensors = {
      {"f32", torch::randn({3, 5})},
      {"bf16", torch::randn({7}).to(torch::kBFloat16)},
      {"u8", torch::randint(0, 255, {3}, torch::kByte)},
      {"i64", torch::arange(4)},
      {"scalar", torch::tensor(2.5)},
      {"none", torch::empty({0, 4})},
      {"bool", torch::tensor({true, false, true})},
      {"transposed", torch::randn({2, 3}).t()},
  };
  write_safetensors(path, tensors, {{"format", "pt"}, {"step", "12"}});
  const SafetensorsFile file(path);
  EXPECT_EQ(file.names().size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(file.tensor(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(file.tensor(name).equal(tensor)) << name;
  }
  EXPECT_EQ(file.metadata().at("step"), "12");
  EXPECT_TRUE(file.contains("u8"));
  EXPECT_FALSE(file.contains("u9"));
}

TEST(Safetensors, HeaderIsAlignedSortedAndTheFileReproducible) {
  const fs::path folder = fresh_folder();
  const std::map<std::string, Tensor> tensors = {{"b", torch::ones({3})}, {"a", torch::zeros({1})}};
  write_safetensors(folder / "1.safetensors", tensors);
  write_safetensors(folder / "2.safetensors", tensors);
  const std::string bytes = core::read_file(folder / "1.safetensors");
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  EXPECT_EQ(length % 8, 0U);
  EXPECT_EQ(bytes.size(), 8 + length + 16);
  EXPECT_LT(bytes.find("\"a\""), bytes.find("\"b\""));
  EXPECT_EQ(bytes, core::read_file(folder / "2.safetensors"));
}

TEST(Safetensors, TensorOutlivesItsFile) {
  const fs::path path = fresh_folder() / "a.safetensors";
  const Tensor tensor = torch::randn({64});
  write_safetensors(path, {{"x", tensor}});
  Tensor view;
  {
    const SafetensorsFile file(path);
    view = file.tensor("x");
  }
  fs::remove(path);
  EXPECT_TRUE(view.equal(tensor));
}

TEST(Safetensors, UnalignedDataAreCopied) {
  const float value = 1.5F;
  std::string data(4, '\0');
  std::memcpy(data.data(), &value, 4);
  const fs::path path = write_raw(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]} })",
                                  data);  // 53 + 8 bytes before it
  EXPECT_EQ(SafetensorsFile(path).tensor("x").item<float>(), value);
}

TEST(Safetensors, UnknownNameSuggestsTheNearest) {
  const fs::path path = fresh_folder() / "a.safetensors";
  write_safetensors(path, {{"model.norm.weight", torch::ones({1})}});
  const SafetensorsFile file(path);
  try {
    file.tensor("model.nrom.weight");
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_NE(std::string(error.what()).find("model.norm.weight"), std::string::npos)
        << error.what();
  }
}

TEST(Safetensors, MissingFile) {
  EXPECT_NE(message_of(fresh_folder() / "no.safetensors").find("cannot open"), std::string::npos);
}

TEST(Safetensors, ShorterThanItsLengthField) {
  const fs::path path = fresh_folder() / "short.safetensors";
  core::write_file_atomic(path, "abc");
  EXPECT_NE(message_of(path).find("too short"), std::string::npos);
}

struct Hostile {
  const char* name;
  const char* header;
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
  const std::string message = message_of(
      write_raw(hostile.header, std::string(hostile.data_bytes, 'x'), hostile.claimed_length));
  EXPECT_NE(message.find(hostile.expected), std::string::npos) << message;
}

INSTANTIATE_TEST_SUITE_P(
    Files, HostileSafetensors,
    testing::Values(
        Hostile{"length_beyond_file", "{}", 0, 1000, "header of 1000 bytes"},
        Hostile{"length_huge", "{}", 0, INT64_MAX, "header of 9223372036854775807 bytes"},
        Hostile{"not_json", "{nonsense", 0, -1, "not a JSON object"},
        Hostile{"array", "[]", 0, -1, "not a JSON object"},
        Hostile{"entry_no_object", R"({"x":3})", 0, -1, "malformed"},
        Hostile{"no_shape", R"({"x":{"dtype":"F32","data_offsets":[0,4]}})", 4, -1, "malformed"},
        Hostile{"unknown_dtype", R"({"x":{"dtype":"F7","shape":[1],"data_offsets":[0,4]}})", 4, -1,
                "unknown dtype \"F7\""},
        Hostile{"doubled_name",
                R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                R"("x":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
                8, -1, "x is there twice"},
        Hostile{"beyond_the_end", R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4,
                -1, "do not fit"},
        Hostile{"backwards", R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4, -1,
                "do not fit"},
        Hostile{"shape_too_small", R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}})", 8,
                -1, "do not fit"},
        Hostile{"product_wraps_to_four",  // 4 * (2^62 + 1) = 4 modulo 2^64
                R"({"x":{"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]}})", 4,
                -1, "do not fit"},
        Hostile{"product_wraps_to_zero",
                R"({"x":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0,
                -1, "do not fit"},
        Hostile{"negative_side", R"({"x":{"dtype":"U8","shape":[-1,-4],"data_offsets":[0,4]}})", 4,
                -1, "bad number -1"},
        Hostile{"fraction", R"({"x":{"dtype":"U8","shape":[4.5],"data_offsets":[0,4]}})", 4, -1,
                "bad number 4.5"},
        Hostile{"three_offsets", R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4,8]}})", 4,
                -1, "do not fit"},
        Hostile{"overlap",
                R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                R"("y":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
                6, -1, "gap or overlap"},
        Hostile{"gap",
                R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                R"("y":{"dtype":"U8","shape":[4],"data_offsets":[6,10]}})",
                10, -1, "gap or overlap"},
        Hostile{"bytes_of_nobody", R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 6,
                -1, "gap or overlap"},
        Hostile{"metadata_no_strings", R"({"__metadata__":{"a":1}})", 0, -1, "malformed"}),
    [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
}  // namespace streamo::model
