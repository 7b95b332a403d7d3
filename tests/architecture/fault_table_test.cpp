// The table of docs/faults.md names the tests that show what it says: each of them is there, and a
// row that claims to be shown has one.
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
using testing::AnyOf;

std::string read(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// "Suite.Name" of every test in the sources.
std::set<std::string> tests_of(const fs::path& folder) {
  static const std::regex test(R"(\b(?:TEST|TEST_F|TEST_P)\(\s*(\w+),\s*(\w+)\))");
  static const std::regex fuzz_target(R"(\bFUZZ_TARGET\(\s*(\w+),)");
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".cpp") continue;
    const std::string text = read(entry.path());
    for (std::sregex_iterator match(text.begin(), text.end(), test), end; match != end; ++match)
      names.insert((*match)[1].str() + "." + (*match)[2].str());
    for (std::sregex_iterator match(text.begin(), text.end(), fuzz_target), end; match != end;
         ++match)
      names.insert("Fuzz." + (*match)[1].str());
  }
  return names;
}

struct Row {
  std::string number, shown;  // "F7"; "yes", "part", "no"
  std::vector<std::string> tests;
};

// "| F7 | the fault | `Suite.Name`, `Suite.Name` | what they check | yes |"
std::vector<Row> rows_of(const fs::path& page) {
  std::vector<Row> rows;
  std::ifstream file(page);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("| F")) continue;
    std::vector<std::string> cells;
    static const std::regex cell(R"(\|\s*([^|]*?)\s*(?=\|))");
    for (std::sregex_iterator match(line.begin(), line.end(), cell), end; match != end; ++match)
      cells.push_back((*match)[1]);
    EXPECT_EQ(cells.size(), 5U) << line;
    if (cells.size() != 5) continue;
    Row row{.number = cells[0], .shown = cells[4], .tests = {}};
    static const std::regex name("`([^`]+)`");
    for (std::sregex_iterator match(cells[2].begin(), cells[2].end(), name), end; match != end;
         ++match)
      row.tests.push_back((*match)[1]);
    rows.push_back(row);
  }
  return rows;
}

TEST(FaultTable, NamesTestsThatAreThere) {
  const fs::path root = STREAMO_SOURCE_DIR;
  const std::set<std::string> tests = tests_of(root / "tests");
  const std::vector<Row> rows = rows_of(root / "docs/faults.md");
  EXPECT_GT(rows.size(), 30U);
  for (const Row& row : rows) {
    SCOPED_TRACE(row.number);
    EXPECT_THAT(row.shown, AnyOf("yes", "part", "no"));
    EXPECT_EQ(row.tests.empty(), row.shown == "no");
    for (const std::string& test : row.tests) EXPECT_TRUE(tests.contains(test)) << test;
  }
}

}  // namespace
}  // namespace streamo
