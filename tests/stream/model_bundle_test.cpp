// A model directory opened as one thing. Truth: the parts it was made of, put together by hand.
#include "streamo/stream/model_bundle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/scratch_folder.h"
#include "stream/small_model.h"

namespace streamo::stream {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

InferenceSettings settings() {
  InferenceSettings settings;
  settings.system_prompt = "Watch closely.";
  settings.fps = 2;
  settings.max_pixels = 6272;
  return settings;
}

class Bundle : public testing::Test {
 protected:
  Bundle() : folder_(scratch_.path() / "final") {
    model::save_model_directory(*model_, text::tokenizer_directory() / "model", folder_,
                                settings().files());
    for (const auto& entry : fs::directory_iterator(text::tokenizer_directory()))
      if (entry.is_regular_file()) fs::copy(entry.path(), folder_ / entry.path().filename());
  }
  std::string refusal() const {
    try {
      ModelBundle::open(folder_, torch::kCPU);
    } catch (const core::Error& error) {
      EXPECT_EQ(error.kind(), core::ErrorKind::kModel);
      return error.what();
    }
    return "";
  }

  core::ScratchFolder scratch_;
  std::shared_ptr<model::VisionLanguageModel> model_ = small_model();
  fs::path folder_;
};

// The probabilities of a second that one answer went before.
std::array<float, text::kNumStates> played(Session session) {
  session.begin(settings().system_prompt);
  session.ask("What is red?");
  for (int64_t second = 0;; ++second) {
    video::Frame frame = random_frame(static_cast<uint64_t>(second), 28, 56);
    frame.index = second;
    const Round round = session.push(frame);
    if (second == 3) return round.probabilities;
  }
}

TEST_F(Bundle, SaysWhatTheModelSays) {
  ModelBundle moved = ModelBundle::open(folder_, torch::kCPU);
  const ModelBundle bundle = std::move(moved);
  const text::ChatFormat format(text::small_tokenizer());
  EXPECT_EQ(played({*bundle.model, bundle.format, bundle.session_options()}),
            played({*model_, format, {.fps = 2}}));
}

TEST_F(Bundle, SeesAsItWasTrained) {
  const ModelBundle bundle = ModelBundle::open(folder_, torch::kCPU);
  EXPECT_EQ(bundle.settings.system_prompt, "Watch closely.");
  EXPECT_EQ(bundle.sample_options().fps, 2);
  EXPECT_EQ(bundle.sample_options().pixel_limits->max_pixels, 6272);
  EXPECT_EQ(bundle.session_options().fps, 2);
  EXPECT_EQ(bundle.session_options().context, data::kReferenceContext)
      << "trained without windows, but a session has no end";
}

TEST_F(Bundle, OtherSettingsAndTypesMayBeGiven) {
  InferenceSettings other = settings();
  other.context = {.max_rounds = 50, .overlap_rounds = 10};
  const ModelBundle bundle = ModelBundle::open(folder_, other, torch::kCPU, torch::kBFloat16);
  EXPECT_EQ(bundle.session_options().context, other.context);
  EXPECT_EQ(bundle.model->lm_head_weight().scalar_type(), torch::kBFloat16);
}

TEST_F(Bundle, WhatIsMissingIsNamed) {
  fs::rename(folder_ / "model.safetensors", folder_ / "elsewhere");
  EXPECT_THAT(refusal(), HasSubstr(folder_.string()));
  fs::remove(folder_ / "tokenizer.model");
  EXPECT_THAT(refusal(), HasSubstr("tokenizer.model")) << "told before weights are looked for";
  fs::remove_all(folder_);
  EXPECT_THAT(refusal(),
              AllOf(HasSubstr("no such model directory"), HasSubstr("runs/example/final")));
}

}  // namespace
}  // namespace streamo::stream
