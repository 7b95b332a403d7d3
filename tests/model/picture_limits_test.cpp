// Truth: the keys as transformers 4 and 5 write them (preprocessor_config.json of
// Qwen/Qwen2.5-VL-3B-Instruct, and what save_pretrained makes of it).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/file.h"
#include "core/io/scratch_folder.h"
#include "model/hf_directory.h"
#include "streamo/core/error.h"

namespace streamo::model {
namespace {

using testing::Eq;
using testing::Optional;

class PictureLimitsOf : public testing::Test {
 protected:
  PictureLimits limits(const std::string& file) const {
    core::write_file_atomic(folder_.path() / "preprocessor_config.json", file);
    return picture_limits(folder_.path());
  }
  std::string message(const std::string& file) const {
    try {
      limits(file);
      return "no error";
    } catch (const core::Error& error) {
      EXPECT_EQ(error.kind(), core::ErrorKind::kModel);
      return error.what();
    }
  }

  core::ScratchFolder folder_;
};

TEST_F(PictureLimitsOf, BothGenerationsAreRead) {
  const PictureLimits four = limits(R"({"min_pixels": 3136, "max_pixels": 12845056})");
  EXPECT_THAT(four.least, Optional(3136));
  EXPECT_THAT(four.most, Optional(12845056));
  const PictureLimits five =
      limits(R"({"size": {"shortest_edge": 56, "longest_edge": 12544}, "min_pixels": null})");
  EXPECT_THAT(five.least, Optional(56));
  EXPECT_THAT(five.most, Optional(12544));
  const PictureLimits both =
      limits(R"({"min_pixels": 100, "size": {"shortest_edge": 56, "longest_edge": 12544}})");
  EXPECT_THAT(both.least, Optional(100));
  EXPECT_THAT(both.most, Optional(12544));
}

// transformers 5 saves processor_config.json alone, and looks there first.
TEST_F(PictureLimitsOf, TheWholeProcessorsFileCounts) {
  const auto whole = folder_.path() / "processor_config.json";
  core::write_file_atomic(whole, R"({"processor_class": "Qwen2_5_VLProcessor", "image_processor":
      {"size": {"shortest_edge": 784, "longest_edge": 50176}}, "video_processor": {}})");
  EXPECT_THAT(picture_limits(folder_.path()).least, Optional(784));
  EXPECT_THAT(limits(R"({"min_pixels": 1, "max_pixels": 2})").most, Optional(50176));
  core::write_file_atomic(whole, R"({"image_processor": {"size":
      {"min_pixels": 3136, "max_pixels": 12544}}})");
  EXPECT_THAT(limits("{}").most, Optional(12544));
  core::write_file_atomic(whole, R"({"image_processor": {"max_pixels": "many"}})");
  EXPECT_THAT(message("{}"), testing::HasSubstr("processor_config.json"));
  core::write_file_atomic(whole, R"({"image_processor": 5})");
  EXPECT_THAT(message("{}"), testing::HasSubstr("image_processor is no object"));
  core::write_file_atomic(whole, R"({"processor_class": "Qwen2_5_VLProcessor"})");
  EXPECT_THAT(limits(R"({"max_pixels": 12544})").most, Optional(12544));
}

TEST_F(PictureLimitsOf, WhatIsNotSaidIsNone) {
  EXPECT_THAT(picture_limits(folder_.path()).least, Eq(std::nullopt));
  for (const char* file : {"{}", R"({"size": null})", R"({"size": {"height": 224}})"}) {
    EXPECT_THAT(limits(file).least, Eq(std::nullopt)) << file;
    EXPECT_THAT(limits(file).most, Eq(std::nullopt)) << file;
  }
}

TEST_F(PictureLimitsOf, DamagedFilesAreNamed) {
  EXPECT_THAT(message("[]"), testing::HasSubstr("preprocessor_config.json"));
  EXPECT_THAT(message(R"({"min_pixels": "many"})"),
              testing::HasSubstr("min_pixels is \"many\", which is no number of pixels"));
  EXPECT_THAT(message(R"({"max_pixels": 0})"), testing::HasSubstr("max_pixels is 0"));
  EXPECT_THAT(message(R"({"size": {"longest_edge": 1.5}})"),
              testing::HasSubstr("longest_edge is 1.5"));
  EXPECT_THAT(message(R"({"size": 5})"), testing::HasSubstr("size is no object"));
  for (const char* value : {"-1", "9000000000000000000", "18446744073709551615", "1e300"}) {
    EXPECT_THAT(message(std::string("{\"max_pixels\": ") + value + "}"),
                testing::HasSubstr("which is no number of pixels"));
  }
  EXPECT_THAT(message(R"({"min_pixels": 2, "max_pixels": 1})"),
              testing::HasSubstr("at least 2 pixels, and at most 1"));
}

}  // namespace
}  // namespace streamo::model
