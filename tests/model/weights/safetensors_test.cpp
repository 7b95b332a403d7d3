// Truth: the format's specification (8 bytes of header length, JSON, data without gap). Files are
// written here byte by byte, the way an attacker or a broken download would.
#include "model/weights/safetensors.h"

#include <sys/stat.h>

#include <cstring>
#include <fstream>

#include "model/golden.h"
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

std::string error_message(const fs::path& path) {
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
  EXPECT_NE(error_message(fresh_folder() / "no.safetensors").find("cannot open"),
            std::string::npos);
}

TEST(Safetensors, ShorterThanItsLengthField) {
  const fs::path path = fresh_folder() / "short.safetensors";
  core::write_file_atomic(path, "abc");
  EXPECT_NE(error_message(path).find("too short"), std::string::npos);
}

TEST(Safetensors, ReadsIntoOtherTypesPieceByPiece) {
  const fs::path path = fresh_folder() / "a.safetensors";
  const int64_t count = (9 << 20) / 2;  // more than one piece
  const Tensor stored = torch::randn({3, count / 3}).to(torch::kBFloat16);
  write_safetensors(path, {{"x", stored}, {"none", torch::empty({0, 3})}});
  const SafetensorsFile file(path);
  for (const auto type : {torch::kBFloat16, torch::kFloat, torch::kHalf, torch::kDouble}) {
    Tensor to = torch::empty(stored.sizes(), type);
    file.read_into("x", to);
    EXPECT_TRUE(to.equal(stored.to(type))) << type;
  }
  Tensor none = torch::empty({0, 3}, torch::kHalf);
  file.read_into("none", none);

  int64_t next = 0, pieces = 0;
  file.read_pieces("x", [&](int64_t first, const Tensor& piece) {
    EXPECT_EQ(first, next);
    next += piece.size(0);
    ++pieces;
    EXPECT_TRUE(piece.equal(stored.view(-1).slice(0, first, next)));
  });
  EXPECT_EQ(next, stored.numel());
  EXPECT_GT(pieces, 1);
}

TEST(Safetensors, WritesInTheOrderAndTypesAskedFor) {
  const fs::path path = fresh_folder() / "a.safetensors";
  const Tensor b = torch::randn({2, 5}), a = torch::randn({3}).to(torch::kBFloat16);
  write_safetensors(path, {{"b", b, Dtype::kF16}, {"a", a, Dtype::kF32}}, {});
  const SafetensorsFile file(path);
  EXPECT_EQ(file.entries()[0].name, "b");
  EXPECT_TRUE(file.tensor("b").equal(b.to(torch::kHalf)));
  EXPECT_TRUE(file.tensor("a").equal(a.to(torch::kFloat)));
  EXPECT_TRUE(file.metadata().empty());
}

TEST(Safetensors, AFileThatShrinksWhileItIsReadIsAnErrorNotACrash) {
  const fs::path path = fresh_folder() / "a.safetensors";
  write_safetensors(path, {{"x", torch::zeros({1 << 20})}});
  const SafetensorsFile file(path);
  fs::resize_file(path, 1 << 20);
  Tensor to = torch::empty({1 << 20});
  try {
    file.read_into("x", to);
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_THAT(error.what(),
                testing::AllOf(testing::HasSubstr("shorter"), testing::HasSubstr(path.string())));
  }
}

TEST(Safetensors, WhatIsNoFileIsRefused) {
  const fs::path folder = fresh_folder();
  EXPECT_THAT(error_message(folder), testing::HasSubstr("not a regular file"));
  ASSERT_EQ(::mkfifo((folder / "pipe.safetensors").c_str(), 0600), 0);
  EXPECT_THAT(error_message(folder / "pipe.safetensors"), testing::HasSubstr("not a regular file"));
}

}  // namespace
}  // namespace streamo::model
