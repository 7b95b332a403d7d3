#include "text/json_text.h"

#include <gtest/gtest.h>

#include "streamo/core/error.h"

namespace streamo::text {
namespace {

using nlohmann::ordered_json;

TEST(JsonText, AppendsToAnArrayLaidOutInLines) {
  EXPECT_EQ(with_appended("{\n  \"a\": [\n    \"x\"\n  ],\n  \"b\": 1\n}\n", {"a"}, "", "y"),
            "{\n  \"a\": [\n    \"x\",\n    \"y\"\n  ],\n  \"b\": 1\n}\n");
}

TEST(JsonText, AppendsToAnObjectLaidOutInLines) {
  EXPECT_EQ(with_appended("{\n  \"a\": 1\n}", {}, "b", ordered_json{{"c", true}}),
            "{\n  \"a\": 1,\n  \"b\": {\n    \"c\": true\n  }\n}");
}

TEST(JsonText, AppendsToOneLine) {
  EXPECT_EQ(with_appended(R"({"a": {"x": [1, 2]}})", {"a", "x"}, "", 3),
            R"({"a": {"x": [1, 2, 3]}})");
  EXPECT_EQ(with_appended(R"({"a":[ ]})", {"a"}, "", ordered_json{{"b", 1}}), R"({"a":[{"b":1}]})");
  EXPECT_EQ(with_appended("{}", {}, "a\"\\", 1), R"({"a\"\\": 1})");
  EXPECT_EQ(with_appended("{}", {}, "a", ordered_json::array()), R"({"a": []})");
}

TEST(JsonText, IsNotMisledByWhatStandsBefore) {
  const std::string text =
      R"({"x": "\"a\": [", "y": {"a": [0]}, "z\\": [[{}], "]}"], "n": -1.5e3, "t": true, "a" : [1]})";
  EXPECT_EQ(with_appended(text, {"a"}, "", 2), text.substr(0, text.size() - 2) + ", 2]}");
}

TEST(JsonText, OfTwoEqualKeysTheLastCounts) {
  EXPECT_EQ(with_appended(R"({"a": [1], "a": [2]})", {"a"}, "", 3), R"({"a": [1], "a": [2, 3]})");
}

TEST(JsonText, KnowsWhetherThereIsAContainer) {
  const std::string text = R"({"list": [], "object": {"number": 5}, "number": 1})";
  EXPECT_TRUE(has_container(text, {}));
  EXPECT_TRUE(has_container(text, {"list"}));
  EXPECT_TRUE(has_container(text, {"object"}));
  EXPECT_FALSE(has_container(text, {"number"}));
  EXPECT_FALSE(has_container(text, {"object", "number"}));
  EXPECT_FALSE(has_container(text, {"list", "object"}));
  EXPECT_FALSE(has_container(text, {"absent"}));
  EXPECT_FALSE(has_container("5", {}));
  EXPECT_THROW(with_appended(text, {"absent"}, "", 1), core::Error);
}

}  // namespace
}  // namespace streamo::text
