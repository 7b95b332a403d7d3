// Paths of the repository that its documents name are there: a file that moves takes its mentions
// along.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

namespace streamo {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// What `text` names of the repository: "src/video/input.cpp", "tests/fuzz",
// "video/decode/timeline.h" of src/.
std::vector<std::string> paths_in(const std::string& text) {
  static const std::regex path(
      R"re((^|[\s`"(]|\.\./)((src|include|tests|scripts|configs|docs)/[A-Za-z0-9_./-]*[A-Za-z0-9_])(?![A-Za-z0-9_./*-]*\*))re");
  static const std::regex header(R"re(`([a-z0-9_]+/[a-z0-9_/]+\.h)`)re");
  std::vector<std::string> found;
  for (std::sregex_iterator i(text.begin(), text.end(), path), end; i != end; ++i)
    found.push_back((*i)[2]);
  for (std::sregex_iterator i(text.begin(), text.end(), header), end; i != end; ++i)
    found.push_back((*i)[1]);
  return found;
}

bool is_there(const std::string& path) {
  const fs::path root = STREAMO_SOURCE_DIR;
  for (const fs::path& base : {root, root / "src", root / "include"}) {
    if (fs::exists(base / path)) return true;
  }
  return false;
}

std::string missing_in(const std::string& name, const std::string& text) {
  std::string missing;
  for (const std::string& path : paths_in(text)) {
    if (!is_there(path)) missing += name + ": " + path + "\n";
  }
  return missing;
}

TEST(DocPaths, NameWhatIsThere) {
  const fs::path root = STREAMO_SOURCE_DIR;
  std::string missing;
  for (const char* file : {"README.md", "CONTRIBUTING.md", "third_party/README.md"})
    missing += missing_in(file, read(root / file));
  for (const auto& entry : fs::directory_iterator(root / "docs")) {
    if (entry.path().extension() == ".md")
      missing += missing_in(entry.path().filename().string(), read(entry.path()));
  }
  EXPECT_EQ(missing, "");
}

TEST(DocPaths, WhatIsNotThereIsFound) {
  EXPECT_EQ(missing_in("x.md", "see [a](../src/core/log.h), `core/no.h` and src/none/a.cpp."),
            "x.md: src/none/a.cpp\nx.md: core/no.h\n");
}

}  // namespace
}  // namespace streamo
