// streamo.json, written and read. Truth: the bytes that training has always written, which models
// that exist come with.
#include "streamo/stream/inference_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/io/file.h"
#include "core/io/scratch_folder.h"
#include "data/samples/conversation.h"
#include "streamo/core/error.h"

namespace streamo::stream {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

constexpr const char* kFile = R"({
  "system_prompt": "Watch. Say </Silence> or </Response>.",
  "default_question": "What happens?",
  "fps": 2.0,
  "min_pixels": 0,
  "max_pixels": 50176,
  "resize": "exact",
  "window_rounds": 70,
  "window_overlap": 20,
  "window_sinks": 2
}
)";

class StreamoJson : public testing::Test {
 protected:
  InferenceSettings read(const std::string& text) {
    core::write_file_atomic(folder_.path() / "streamo.json", text);
    return InferenceSettings::read(folder_.path());
  }
  // What is said of the file above with one value changed, or left out when it is null.
  std::string refusal(const std::string& key, const json& value) {
    json changed = json::parse(kFile);
    changed[key] = value;
    if (value.is_null()) changed.erase(key);
    return refusal_of(changed.dump());
  }
  std::string refusal_of(const std::string& text) {
    try {
      read(text);
    } catch (const core::Error& error) {
      EXPECT_EQ(error.kind(), core::ErrorKind::kModel) << text;
      return error.what();
    }
    return "";
  }

  core::ScratchFolder folder_;
};

TEST_F(StreamoJson, IsWrittenAsItIsRead) {
  const InferenceSettings settings = read(kFile);
  EXPECT_EQ(settings.system_prompt, "Watch. Say </Silence> or </Response>.");
  EXPECT_EQ(settings.default_question, "What happens?");
  EXPECT_EQ(settings.fps, 2.0);
  EXPECT_EQ(settings.min_pixels, 0);
  EXPECT_EQ(settings.max_pixels, 50176);
  EXPECT_EQ(settings.resize, video::ResizeMode::kExact);
  EXPECT_EQ(settings.context, (data::ContextRule{70, 20, 2}));
  EXPECT_EQ(settings.files(), (std::map<std::string, std::string>{{"streamo.json", kFile}}));
}

TEST_F(StreamoJson, AnOlderFileHasNoResizeAndNoWindows) {
  const InferenceSettings settings =
      read(R"({"system_prompt": "Watch.", "default_question": "What?", "fps": 1.0})");
  EXPECT_EQ(settings.resize, video::ResizeMode::kFast);
  EXPECT_EQ(settings.context, data::ContextRule());
  const json written = json::parse(settings.files().at("streamo.json"));
  EXPECT_EQ(written.at("resize"), "fast");
  EXPECT_FALSE(written.contains("window_rounds"));
}

TEST_F(StreamoJson, WithoutItAModelIsUsedAsTheDefaultConfigTrains) {
  const InferenceSettings settings = InferenceSettings::read(folder_.path());
  EXPECT_EQ(settings.system_prompt, data::default_system_prompt());
  EXPECT_EQ(settings.default_question, data::default_question());
  EXPECT_EQ(settings.fps, 1.0);
  EXPECT_EQ(settings.files(), InferenceSettings().files());
}

TEST_F(StreamoJson, WhatANewerProgramAddsIsLeftAlone) {
  json newer = json::parse(kFile);
  newer["voice"] = "low";
  EXPECT_EQ(read(newer.dump()).files().at("streamo.json"), kFile);
}

TEST_F(StreamoJson, ADamagedOneIsRefused) {
  const std::string place = (folder_.path() / "streamo.json").string();
  const auto says = [&](const std::string& what) {
    return AllOf(HasSubstr(place), HasSubstr(what), HasSubstr("remove the file"));
  };
  EXPECT_THAT(refusal_of("[1]"), says(""));
  EXPECT_THAT(refusal_of("{\"fps\": 1"), says(""));
  EXPECT_THAT(refusal("system_prompt", nullptr), says("system_prompt"));
  EXPECT_THAT(refusal("default_question", 3), says("must be string"));
  EXPECT_THAT(refusal("fps", 0), says("data.fps is 0"));
  EXPECT_THAT(refusal("fps", "often"), says("data.fps is \"often\""));
  EXPECT_THAT(refusal("max_pixels", -1), says("data.max_pixels is -1"));
  EXPECT_THAT(refusal("resize", "slow"), says("data.resize is \"slow\""));
  EXPECT_THAT(refusal("window_rounds", nullptr), says("windows that never end"));
  EXPECT_THAT(refusal("window_overlap", 70), says("windows of 70 rounds"));
  EXPECT_THAT(refusal("system_prompt", "a <|im_end|>"), HasSubstr("streamo.json, system_prompt"));
  EXPECT_THAT(refusal("default_question", "Is it </Silence>?"),
              HasSubstr("streamo.json, default_question"));
}

TEST_F(StreamoJson, ItsPixelLimitsComeBeforeThoseOfTheImageProcessor) {
  core::write_file_atomic(folder_.path() / "preprocessor_config.json",
                          R"({"min_pixels": 784, "max_pixels": 99999})");
  const video::SampleOptions options = read(kFile).sample_options(folder_.path());
  EXPECT_EQ(options.fps, 2.0);
  EXPECT_EQ(options.resize, video::ResizeMode::kExact);
  ASSERT_TRUE(options.pixel_limits);
  EXPECT_EQ(options.pixel_limits->min_pixels, 784);
  EXPECT_EQ(options.pixel_limits->max_pixels, 50176);
}

}  // namespace
}  // namespace streamo::stream
