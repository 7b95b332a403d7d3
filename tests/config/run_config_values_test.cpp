// Every setting against values that nobody means: refused as a config's mistake, or taken exactly
// as given, so that the run's own config.json says the same. Truth: the value that is read back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "config/run_config.h"
#include "core/io/file.h"
#include "core/io/scratch_folder.h"
#include "streamo/core/error.h"

namespace streamo::train {
namespace {

using nlohmann::ordered_json;
using testing::HasSubstr;

const std::vector<std::string> kNasty = {"-1",
                                         "0",
                                         "-0",
                                         "-0.0",
                                         "1",
                                         "1.5",
                                         "3.0",
                                         "1e3",
                                         "100000",
                                         "1e9",
                                         "9e18",
                                         "1e16",
                                         "1e30",
                                         "1e300",
                                         "9007199254740993",
                                         "9223372036854775807",
                                         "9223372036854775808",
                                         "-9223372036854775808",
                                         "18446744073709551615",
                                         "18446744073709551616",
                                         "1e-400",
                                         "5e-324",
                                         "1e999",
                                         "-1e999",
                                         "NaN",
                                         "nan",
                                         "inf",
                                         "Infinity",
                                         "0x10",
                                         "1_000",
                                         "+1",
                                         ".5",
                                         "1e",
                                         "true",
                                         "null",
                                         "\"\"",
                                         "\"7\"",
                                         "[]",
                                         "{}",
                                         "[1,1]",
                                         "[1e300,0.5]",
                                         "[0.5,-1]",
                                         "[0.9,NaN]",
                                         "[\"a\",7]",
                                         "${STREAMO_NOT_SET}",
                                         "\xff\xfe",
                                         "\"\\u0000\"",
                                         "https://host/x",
                                         "<image>"};

// "" when it was taken.
std::string refusal(const std::string& assignment, config::RunConfig& config) {
  try {
    config::make_schema(config).apply_overrides({assignment});
    return "";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kConfig) << assignment;
    return error.what();
  }
}

std::vector<std::string> nasty_values() {
  std::vector<std::string> values = kNasty;
  values.push_back(std::string(20'000, '['));
  values.push_back(std::string(20'000, 'x'));
  values.push_back("\"" + std::string(20'000, 'x') + "\"");
  return values;
}

TEST(RunConfigValues, AreRefusedOrKeptExactly) {
  const core::ScratchFolder folder;
  const auto file = folder.path() / "config.json";
  config::RunConfig any;
  for (const std::string& key : config::make_schema(any).keys()) {
    for (const std::string& value : nasty_values()) {
      config::RunConfig config;
      config.checkpoint.dir = folder.path();  // the default counts from the working folder
      const std::string assignment = key + "=" + value;
      const std::string message = refusal(assignment, config);
      EXPECT_LT(message.size(), 1000u) << key << "=" << value.substr(0, 40);
      if (!message.empty()) continue;
      const ordered_json taken = config::make_schema(config).values();
      core::write_file_atomic(file, taken.dump());
      config::RunConfig back;
      ASSERT_NO_THROW(config::make_schema(back).load_file(file)) << assignment.substr(0, 80);
      EXPECT_EQ(config::make_schema(back).values(), taken) << assignment.substr(0, 80);
    }
  }
}

TEST(RunConfigValues, NumbersThatNoRunMeansAreRefused) {
  config::RunConfig any;
  const core::ConfigSchema schema = config::make_schema(any);
  for (const std::string& key : schema.keys()) {
    config::RunConfig config;
    const std::string text = schema.describe(key);
    const bool is_number = text.substr(0, text.find(", default")).find("number") != text.npos;
    if (!is_number) continue;
    for (const char* value :
         {"1e300", "9223372036854775807", "18446744073709551615", "1e999", "1e-400", "NaN", "-1"}) {
      // Every seed is one, and rates may be huge.
      const bool may_be_large = key.ends_with(".seed") || key.starts_with("optim.");
      if (may_be_large && std::string(value) == "9223372036854775807") continue;
      if (key.starts_with("optim.") && std::string(value) == "18446744073709551615") continue;
      EXPECT_NE(refusal(key + "=" + value, config), "") << key << "=" << value;
    }
  }
  config::RunConfig config;
  EXPECT_THAT(refusal("train.seed=18446744073709551615", config), HasSubstr("train.seed"));
  EXPECT_NE(refusal("train.max_steps=1e30", config), "");
  EXPECT_NE(refusal("train.num_threads=100000", config), "");
  EXPECT_NE(refusal("train.num_threads=4294967297", config), "");
  EXPECT_NE(refusal("data.frame_memory_mb=9e18", config), "");
  EXPECT_NE(refusal("train.grad_accum_steps=9e18", config), "");
  EXPECT_NE(refusal("optim.betas=[1,1]", config), "");
  EXPECT_NE(refusal("optim.eps=0", config), "");
}

TEST(RunConfigValues, WholeNumbersAreExact) {
  config::RunConfig config;
  EXPECT_EQ(refusal("train.seed=9223372036854775807", config), "");
  EXPECT_EQ(config.train.seed, 9223372036854775807);
  EXPECT_EQ(refusal("train.max_steps=1e3", config), "");
  EXPECT_EQ(config.train.max_steps, 1000);
  EXPECT_EQ(refusal("train.max_steps=3.0", config), "");
  EXPECT_EQ(config.train.max_steps, 3);
  EXPECT_NE(refusal("train.seed=1e16", config), "");  // a double skips every other number there
}

TEST(RunConfigValues, TextOfConversationsHoldsNoTokens) {
  config::RunConfig config;
  for (const char* token : {"<image>", "<stream>", "<video>", "<|im_start|>", "<|vision_start|>"}) {
    for (const char* key : {"data.system_prompt", "data.default_question"}) {
      EXPECT_THAT(refusal(std::string(key) + "=Look at " + token, config),
                  HasSubstr(std::string(key) + " holds " + token));
    }
  }
  EXPECT_EQ(refusal("data.system_prompt=Say </Silence> or </Response>.", config), "");
  EXPECT_NE(refusal("data.default_question=Say </Silence>.", config), "");
}

TEST(RunConfigValues, OfTheEnvironmentAreTakenOnce) {
  ::setenv("STREAMO_TEST_NESTED", "${HOME}", 1);
  config::RunConfig config;
  EXPECT_THAT(refusal("data.video_prefix=${STREAMO_TEST_NESTED}", config),
              HasSubstr("STREAMO_TEST_NESTED"));
}

}  // namespace
}  // namespace streamo::train
