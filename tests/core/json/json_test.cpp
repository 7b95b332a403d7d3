#include "core/json/json.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <chrono>

#include "core/io/file.h"
#include "core/io/scratch_folder.h"
#include "core/rng.h"

namespace streamo::core {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using testing::AnyOf;
using testing::HasSubstr;

std::string reason(const std::string& text, const JsonRules& rules = {}) {
  const auto read = parse_json(text, rules);
  EXPECT_EQ(static_cast<bool>(read), static_cast<bool>(parse_json<ordered_json>(text, rules)));
  return read ? "" : read.reason();
}

std::string repeated(const std::string& text, size_t times) {
  std::string result;
  for (size_t i = 0; i < times; ++i) result += text;
  return result;
}

TEST(Json, ReadsWhatTheLibraryReads) {
  const std::string text =
      "\xEF\xBB\xBF{\"b\": [1, -2, 3.5, true, null, {}], \"a\": {\"x\": \"\\u00e9\"}}";
  EXPECT_EQ(*parse_json(text), json::parse(text));
  EXPECT_EQ(parse_json<ordered_json>(text)->dump(), ordered_json::parse(text).dump());
  EXPECT_EQ(*parse_json("3"), json(3));
}

TEST(Json, SaysWhereAndWhy) {
  EXPECT_THAT(reason("{\n \"a\": 1,\n}"), HasSubstr("line 3, column 1: syntax error"));
  EXPECT_THAT(reason("{\"a\": {\"b\": 1,\n\"b\": 2}}"),
              HasSubstr("line 2, column 3: key \"b\" is given twice"));
  EXPECT_THAT(reason("[1e999]"), HasSubstr("number overflow"));
  EXPECT_THAT(reason("[1e-400]"), HasSubstr("number underflow"));
  EXPECT_EQ(reason("[0e9, 0.0, -0, 0.000e-999, 5e-324]"), "");
  EXPECT_THAT(reason(std::string("{}\0 more", 8)), HasSubstr("column 3: a zero byte"));
  EXPECT_THAT(reason("\"\xff\""), HasSubstr("UTF-8"));
  EXPECT_NE(reason(""), "");
  EXPECT_NE(reason("{} {}"), "");
  EXPECT_NE(reason("// no\n{}"), "");
  EXPECT_EQ(reason("// yes\n{}", {.comments = true}), "");
}

TEST(Json, WhatItReadLastIsCut) {
  EXPECT_LT(reason("{\"a\" \"" + std::string(1 << 20, 'x') + "\"}").size(), 300u);
}

TEST(Json, EveryLimitHolds) {
  EXPECT_EQ(reason(repeated("[", 128) + repeated("]", 128)), "");
  for (const char* open : {"[", "{\"a\":"}) {
    EXPECT_THAT(reason(repeated(open, 1'000'000)), HasSubstr("nested deeper than 128"));
  }
  EXPECT_THAT(reason("{\"" + std::string(5000, 'k') + "\": 1}"), HasSubstr("a key of 5000 bytes"));
  EXPECT_THAT(reason("[1, 2, 3]", {.max_bytes = 8}), HasSubstr("has 9 bytes, at most 8"));
  EXPECT_THAT(reason("[0,0,0,0]", {.max_bytes = 64}), HasSubstr("too many values"));
}

// Quadratic in the brackets, and in the keys of an object that keeps their order: the library would
// take minutes for each.
TEST(Json, TakesLinearTime) {
  std::string objects = "[{}", keys = "{";
  for (int i = 0; i < 300'000; ++i) objects += ",{}";
  for (int i = 0; i < 100'000; ++i) keys += fmt::format("\"{}\":{},", i, i);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(parse_json(objects + "]")->size(), 300'001u);
  EXPECT_EQ(parse_json<ordered_json>(keys + "\"x\":0}")->size(), 100'001u);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(Json, FilesAreNamed) {
  const ScratchFolder folder;
  const auto path = folder.path() / "x.json";
  EXPECT_THAT(read_json(path).reason(), HasSubstr("x.json: no such file"));
  EXPECT_THAT(read_json(folder.path()).reason(), HasSubstr("not a regular file"));
  write_file_atomic(path, "[1,]");
  EXPECT_THAT(read_json(path).reason(), HasSubstr("x.json: not readable JSON: line 1, column 4"));
  EXPECT_THROW(require_json_object(path, ErrorKind::kModel, "hint"), Error);
  write_file_atomic(path, "[1]");
  EXPECT_EQ(read_json(path)->size(), 1u);
  EXPECT_THROW(require_json_object(path, ErrorKind::kModel, "hint"), Error);
  EXPECT_THAT(read_json(path, {.max_bytes = 2}).reason(), HasSubstr("has 3 bytes"));
}

// Changed at random, a text is read or refused, as by the library; never more.
TEST(Json, NoDamageIsMoreThanAFault) {
  const std::string whole =
      R"({"files": {"a.bin": {"bytes": 12, "xxh3": "0f"}}, "list": [1.5, -3, "\u00e9", null], "b": true})";
  constexpr std::string_view kBytes = "{}[]\",:\\0a \xff\n-e";
  Rng rng({7});
  for (int round = 0; round < 20'000; ++round) {
    std::string text = whole;
    for (int64_t change = rng.integer(1, 3); change > 0; --change) {
      const auto at = static_cast<size_t>(rng.integer(0, static_cast<int64_t>(text.size()) - 1));
      const char byte = kBytes[static_cast<size_t>(rng.integer(0, kBytes.size() - 1))];
      if (rng.integer(0, 1) == 0)
        text[at] = byte;
      else if (rng.integer(0, 1) == 0)
        text.erase(at, 1);
      else
        text.insert(at, 1, byte);
    }
    const auto read = parse_json(text);
    const json expected = json::parse(text, nullptr, false);
    if (read) {
      EXPECT_EQ(*read, expected) << text;
    } else if (!expected.is_discarded()) {
      EXPECT_THAT(read.reason(), AnyOf(HasSubstr("twice"), HasSubstr("underflow"))) << text;
    }
  }
}

}  // namespace
}  // namespace streamo::core
