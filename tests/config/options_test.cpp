// What a config means to the modules that do the work. Truth: the keys' help.
#include "config/options.h"

#include <gtest/gtest.h>

#include "core/io/file.h"
#include "core/io/scratch_folder.h"

namespace streamo::config {
namespace {

TEST(ConfigOptions, AModelIsUsedAsItIsTrained) {
  RunConfig config;
  EXPECT_EQ(inference_settings(config).files(), stream::InferenceSettings().files())
      << "an empty prompt is the built-in one";
  make_schema(config).apply_overrides({"data.system_prompt=Watch.", "data.default_question=What?",
                                       "data.fps=2", "data.min_pixels=784", "data.max_pixels=6272",
                                       "data.resize=exact", "data.window_rounds=70",
                                       "data.window_overlap=20", "data.window_sinks=2"});
  const stream::InferenceSettings settings = inference_settings(config);
  EXPECT_EQ(settings.system_prompt, "Watch.");
  EXPECT_EQ(settings.default_question, "What?");
  EXPECT_EQ(settings.fps, 2);
  EXPECT_EQ(settings.min_pixels, 784);
  EXPECT_EQ(settings.max_pixels, 6272);
  EXPECT_EQ(settings.resize, video::ResizeMode::kExact);
  EXPECT_EQ(settings.context, (data::ContextRule{70, 20, 2}));
}

TEST(ConfigOptions, PixelLimitsAreTheConfigsElseTheModelDirectorys) {
  const core::ScratchFolder model;
  core::write_file_atomic(model.path() / "preprocessor_config.json",
                          R"({"min_pixels": 1568, "max_pixels": 99999})");
  RunConfig config;
  config.model.path = model.path();
  config.data.max_pixels = 6272;
  for (const video::PixelLimits& limits :
       {pixel_limits(config, model.path()), pixel_limits_to_be(config)}) {
    EXPECT_EQ(limits.min_pixels, 1568);
    EXPECT_EQ(limits.max_pixels, 6272);
  }
  EXPECT_EQ(pixel_limits(config, /*model_dir=*/{}).min_pixels, video::PixelLimits().min_pixels);
}

}  // namespace
}  // namespace streamo::config
