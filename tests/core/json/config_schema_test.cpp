#include "core/json/config_schema.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/io/file.h"
#include "streamo/core/error.h"

namespace streamo::core {
namespace {

using ::testing::HasSubstr;

struct Settings {
  double lr = 1e-5;
  int64_t steps = 10;
  bool packing = true;
  std::string schedule = "cosine", dir;
  std::vector<std::string> train;
  std::vector<double> betas = {0.9, 0.999};
};

ConfigSchema make_schema(Settings& s) {
  ConfigSchema schema;
  schema.add("optim.lr", &s.lr, "Peak learning rate.", at_least(0));
  schema.add("optim.schedule", &s.schedule, "Shape.", one_of({"cosine", "linear", "constant"}));
  schema.add("optim.betas", &s.betas, "Adam.", between(0, 1));
  schema.add("train.max_steps", &s.steps, "Steps.", at_least(1));
  schema.add("data.packing", &s.packing, "Pack.");
  schema.add("data.train", &s.train, "Files.", a_path());
  schema.add("checkpoint.dir", &s.dir, "Folder.", a_path());
  return schema;
}

// Loads `text` and returns the error's message, "" when there is none.
std::string load_error(const std::string& text, Settings* settings = nullptr) {
  // A folder of its own: tests run side by side, and messages name the file.
  const std::string folder = ::testing::TempDir() + "/config-" + std::to_string(::getpid());
  const std::string path = folder + "/config_schema_test.json";
  write_file_atomic(path, text);
  Settings local;
  ConfigSchema schema = make_schema(settings != nullptr ? *settings : local);
  try {
    schema.load_file(path);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfig);
    return error.what();
  }
  return "";
}

TEST(ConfigSchema, ReadsValuesCommentsPathsAndEnvironment) {
  ::setenv("STREAMO_TEST_DIR", "/data", 1);
  Settings s;
  EXPECT_EQ(load_error(R"({ // comment
    "optim": {"lr": 2e-5, "betas": [0.8, 0.9]}, /* and "another": */
    "train": {"max_steps": 7},
    "data": {"train": ["a.json", "${STREAMO_TEST_DIR}/b.json"], "packing": false},
    "checkpoint": {"dir": "runs/x"}})",
                       &s),
            "");
  EXPECT_EQ(s.lr, 2e-5);
  EXPECT_EQ(s.betas, (std::vector<double>{0.8, 0.9}));
  EXPECT_EQ(s.steps, 7);
  EXPECT_FALSE(s.packing);
  const std::filesystem::path folder =
      std::filesystem::absolute(::testing::TempDir() + "/config-" + std::to_string(::getpid()))
          .lexically_normal();
  EXPECT_EQ(s.train,
            (std::vector<std::string>{(folder / "a.json").lexically_normal(), "/data/b.json"}));
  EXPECT_EQ(s.dir, (folder / "runs/x").lexically_normal());
}

TEST(ConfigSchema, NamesFileLineKeyAndNearestKey) {
  const std::string error = load_error("{\n  \"optim\": {\n    \"lrr\": 1\n  }\n}");
  EXPECT_THAT(
      error,
      HasSubstr("config_schema_test.json:3: optim.lrr is not a setting, did you mean optim.lr?"));
}

TEST(ConfigSchema, FindsAKeyInTheWrongSection) {
  EXPECT_THAT(load_error(R"({"train": {"lr": 1}})"), HasSubstr("did you mean optim.lr?"));
}

TEST(ConfigSchema, CollectsAllProblemsAndAssignsNothing) {
  Settings s;
  const std::string error = load_error(
      R"({"optim": {"lr": -1, "schedule": "cosin"}, "train": {"max_steps": 1.5}, "data": {"packing": 1}})",
      &s);
  EXPECT_THAT(error, HasSubstr("optim.lr is -1, must be >= 0"));
  EXPECT_THAT(error, HasSubstr("optim.schedule is \"cosin\", did you mean cosine?"));
  EXPECT_THAT(error, HasSubstr("train.max_steps is 1.5, must be a whole number"));
  EXPECT_THAT(error, HasSubstr("data.packing is 1, must be a true or false"));
  EXPECT_EQ(s.lr, 1e-5);
}

TEST(ConfigSchema, RefusesDoubledKeysBrokenJsonMissingFileAndUnsetEnvironment) {
  EXPECT_THAT(load_error("{\"optim\": {\"lr\": 1,\n \"lr\": 2}}"),
              HasSubstr("line 2, column 5: key \"lr\" is given twice"));
  EXPECT_THAT(load_error("{\n\"optim\": {,}}"), HasSubstr("line 2"));
  EXPECT_THAT(load_error(R"({"checkpoint": {"dir": "${STREAMO_NOT_SET}/x"}})"),
              HasSubstr("STREAMO_NOT_SET"));
  Settings s;
  ConfigSchema schema = make_schema(s);
  EXPECT_THROW(schema.load_file("/nonexistent/x.json"), Error);
}

TEST(ConfigSchema, OverridesTakeJsonOrBareText) {
  Settings s;
  ConfigSchema schema = make_schema(s);
  schema.apply_overrides({"optim.lr=2e-5", "optim.schedule=linear", "data.packing=false",
                          "data.train=[\"/a\",\"/b\"]", "train.max_steps=12"});
  EXPECT_EQ(s.lr, 2e-5);
  EXPECT_EQ(s.schedule, "linear");
  EXPECT_FALSE(s.packing);
  EXPECT_EQ(s.train.size(), 2U);
  EXPECT_EQ(s.steps, 12);
  EXPECT_THROW(schema.apply_overrides({"optim.lr"}), Error);
  EXPECT_THROW(schema.apply_overrides({"optim.l=1"}), Error);
  EXPECT_THROW(schema.apply_overrides({"optim.lr=fast"}), Error);
}

TEST(ConfigSchema, EffectiveValuesLoadBackUnchanged) {
  Settings s;
  s.lr = 3e-4;
  s.train = {"/x.json"};
  Settings back;
  EXPECT_EQ(load_error(make_schema(s).values().dump(), &back), "");
  EXPECT_EQ(back.lr, 3e-4);
  EXPECT_EQ(back.train, s.train);
}

TEST(ConfigSchema, DescribesOneKeyASectionOrAll) {
  Settings s;
  const ConfigSchema schema = make_schema(s);
  EXPECT_THAT(schema.describe("optim.lr"), HasSubstr("number >= 0, default 1e-05"));
  EXPECT_THAT(schema.describe("optim"), HasSubstr("optim.betas"));
  EXPECT_THROW(schema.describe("optin"), Error);
  EXPECT_EQ(schema.json_schema()["properties"]["optim"]["properties"]["schedule"]["enum"].size(),
            3U);
}

// Latin-1, say: a path may be any bytes.
TEST(ConfigSchema, TakesPathsThatAreNotUtf8) {
  Settings s;
  s.dir = "/caf\xE9/run";
  const ConfigSchema schema = make_schema(s);  // with a value that is its default
  EXPECT_EQ(schema.values()["checkpoint"]["dir"], "/caf\xEF\xBF\xBD/run");
  EXPECT_THAT(schema.describe("checkpoint.dir"), HasSubstr("caf"));
}

}  // namespace
}  // namespace streamo::core
