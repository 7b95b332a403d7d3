// JSON that others have written goes through core/json/json.h, which limits depth, size, names and
// time; the JSON library's own parser reads only what this run has written a moment ago.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace streamo {
namespace {

namespace fs = std::filesystem;

const std::set<std::string> kOfThisRun = {
    "core/json/config_schema.cpp",  // the defaults that stand in the program
    "train/fail_together.cpp",      // what the ranks tell each other
    "train/validator.cpp",          // likewise
    "run/kept_plan.cpp",            // likewise
    "run/sample_lines.cpp",         // likewise, and the plan, whose hash is compared first
    "run/same_run.cpp",             // likewise
    "train/step_loss.cpp",          // likewise
    "train/training_step.cpp",      // likewise
};

// "file:line" of each use of the library's parser outside of the one reader.
std::vector<std::string> other_readers(const fs::path& src) {
  static const std::regex reader(R"(\b([Jj]son|ordered_json)::(parse|accept|sax_parse)\s*\()");
  std::vector<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(src)) {
    const std::string name = fs::relative(entry.path(), src).string();
    if (!entry.is_regular_file() || name == "core/json/json.cpp" || kOfThisRun.contains(name))
      continue;
    std::ifstream file(entry.path());
    std::string line;
    for (int number = 1; std::getline(file, line); ++number) {
      if (std::regex_search(line, reader)) found.push_back(name + ":" + std::to_string(number));
    }
  }
  return found;
}

TEST(JsonReaders, ThereIsOne) {
  EXPECT_THAT(other_readers(fs::path(STREAMO_SOURCE_DIR) / "src"), testing::IsEmpty());
}

TEST(JsonReaders, AnotherOneIsFound) {
  const fs::path src = fs::path(testing::TempDir()) / "streamo_json_readers";
  fs::create_directories(src / "text");
  std::ofstream(src / "text/bad.cpp") << "\nauto x = nlohmann::json::parse(text);\n";
  EXPECT_THAT(other_readers(src), testing::ElementsAre("text/bad.cpp:2"));
  fs::remove_all(src);
}

}  // namespace
}  // namespace streamo
