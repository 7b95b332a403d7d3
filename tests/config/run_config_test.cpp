// Configs that are wrong in every key: each is refused, as a config, by the key's name. Truth: the
// schema itself says what each key may be.
#include "config/run_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/io/scratch_folder.h"
#include "streamo/core/error.h"

namespace streamo::config {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class WrongConfigs : public testing::Test {
 protected:
  static json good() {
    return {{"model", {{"preset", "example"}}}, {"data", {{"train", {"a.json"}}}}};
  }

  void expect_refused(const std::string& text, const std::string& said) {
    SCOPED_TRACE(text);
    std::ofstream(path_) << text;
    try {
      load_run_config(path_, {});
      ADD_FAILURE() << "taken";
    } catch (const core::Error& error) {
      EXPECT_EQ(error.kind(), core::ErrorKind::kConfig);
      EXPECT_THAT(error.what(), HasSubstr(said));
    }
    ++tried_;
  }
  void expect_value_refused(const std::string& key, const json& value) {
    json config = good();
    config[key_section(key)][name_of(key)] = value;
    expect_refused(config.dump(), key);
  }
  static std::string key_section(const std::string& key) { return key.substr(0, key.find('.')); }
  static std::string name_of(const std::string& key) { return key.substr(key.find('.') + 1); }

  const core::ScratchFolder scratch_;
  const std::filesystem::path path_ = scratch_.path() / "config.json";
  int tried_ = 0;
};

TEST_F(WrongConfigs, AreRefusedByTheKeysName) {
  RunConfig defaults;
  const core::ConfigSchema schema = make_schema(defaults);
  const json properties = schema.json_schema()["properties"];
  for (const std::string& key : schema.keys()) {
    const json of_key = properties[key_section(key)]["properties"][name_of(key)];
    const json& limits = of_key.contains("items") ? of_key["items"] : of_key;
    const bool is_list = of_key.contains("items");
    const auto put = [&](const json& value) {
      return is_list && of_key["type"] == "array" ? json::array({value, value}) : value;
    };
    expect_value_refused(key, json::object());
    expect_value_refused(key, nullptr);
    if (limits["type"] != "string") expect_value_refused(key, put("7 days"));
    if (limits["type"] != "boolean") expect_value_refused(key, put(true));
    if (limits["type"] == "integer") expect_value_refused(key, 0.5);
    if (limits.contains("minimum"))
      expect_value_refused(key, put(limits["minimum"].get<double>() - 1));
    if (limits.contains("maximum"))
      expect_value_refused(key, put(limits["maximum"].get<double>() * 2));
    if (limits.contains("enum")) expect_value_refused(key, "no such choice");
    json misspelt = good();
    misspelt[key_section(key)][name_of(key) + "x"] = of_key["default"];
    expect_refused(misspelt.dump(), key);  // the nearest right one
  }
  EXPECT_GT(tried_, 250);
}

TEST_F(WrongConfigs, WhatIsNoConfigAtAllIsRefusedToo) {
  for (const char* text :
       {"", "[]", "7", "null", "{", "{\"optim\"}", "{\"optim\": 7}", "{\"optim\": []}",
        "{\"optim\": {\"lr\": 1e-5, \"lr\": 1e-4}}", "{\"optim\": {}, \"optim\": {}}",
        "{\"a\": {\"b\": 1}}", "{} {}", "{\"optim\": {\"lr\": NaN}}", "\xff\xfe{}"})
    expect_refused(text, "config.json");
}

}  // namespace
}  // namespace streamo::config
