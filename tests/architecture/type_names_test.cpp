// One type name stands once in a namespace: two structs of one name in two files of a program are
// undefined behaviour that no compiler or linker reports, as each file sees only one. Reads the
// sources as text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace streamo {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

// Of each qualified type name the files that define it, with the line. Twice in one file is seen by
// the compiler (or stands in two branches of an #if).
using Definitions = std::map<std::string, std::map<fs::path, int>>;

// Where the literal, comment or preprocessor line that begins at `begin` ends; `begin` if none
// begins there.
size_t end_of_no_code(const std::string& text, size_t begin) {
  const auto behind = [&](const std::string& end, size_t from) {
    return std::min(text.find(end, from), text.size() - end.size()) + end.size();
  };
  const char c = text[begin], next = begin + 1 < text.size() ? text[begin + 1] : '\0';
  const char before = begin > 0 ? text[begin - 1] : '\n';
  if (c == '/' && next == '*') return behind("*/", begin);
  if (c == '/' && next == '/') return std::min(text.find('\n', begin), text.size());
  if (c == '#' && before == '\n') {
    size_t end = text.find('\n', begin);
    while (end < text.size() && text[end - 1] == '\\') end = text.find('\n', end + 1);
    return std::min(end, text.size());
  }
  if (c == '"' && before == 'R') {
    const size_t parenthesis = text.find('(', begin);
    return behind(")" + text.substr(begin + 1, parenthesis - begin - 1) + "\"", parenthesis);
  }
  if (c == '"' ||
      (c == '\'' && !std::isalnum(static_cast<unsigned char>(before)))) {  // 1'000 is none
    size_t end = begin + 1;
    while (end < text.size() && text[end] != c) end += text[end] == '\\' ? 2 : 1;
    return end + 1;
  }
  return begin;
}

// The same text with all that blanked out, line ends kept.
std::string code_only(std::string text) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(end_of_no_code(text, at), text.size());
    for (size_t i = at; i < end; ++i) {
      if (text[i] != '\n') text[i] = ' ';
    }
    at = std::max(end, at + 1);
  }
  return text;
}

// What opens with a brace, as far as it can hold types of a namespace.
class Scopes {
 public:
  void open(const std::string& head) {
    std::smatch match;
    static const std::regex name_of_namespace(R"(\bnamespace\s*([\w:]*)\s*$)");
    const bool is_namespace = std::regex_search(head, match, name_of_namespace);
    names_.push_back(is_namespace ? match[1].str() : kOther);
  }
  void close() {
    if (!names_.empty()) names_.pop_back();
  }

  // Of the namespace around; what stands in a function, a class or an unnamed namespace is its
  // file's own.
  bool is_shared() const {
    return std::none_of(names_.begin(), names_.end(),
                        [](const std::string& name) { return name == kOther || name.empty(); });
  }
  std::string prefix() const {
    std::string prefix;
    for (const std::string& name : names_) prefix += name + "::";
    return prefix;
  }

 private:
  static inline const std::string kOther = "{";
  std::vector<std::string> names_;
};

// The name of the type that a statement up to its `{` or `=` defines; empty if it defines none.
std::string defined_type(const std::string& head, char end) {
  static const std::regex type(
      R"(^\s*(?:template\s*<[^{]*>\s*)?(?:struct|class|union|enum(?:\s+(?:class|struct))?)\s+(?:alignas\([^)]*\)\s*|\[\[[^\]]*\]\]\s*)*([\w:]+(?:<[^{:]*>)?)\s*(?:final\s*)?(?::[^:][^]*)?$)");
  static const std::regex alias(R"(^\s*(?:template\s*<[^{]*>\s*)?using\s+(\w+)\s*$)");
  std::smatch match;
  return std::regex_search(head, match, end == '{' ? type : alias) ? match[1].str() : "";
}

void collect(const fs::path& path, Definitions& definitions) {
  std::ifstream file(path);
  const std::string code = code_only({std::istreambuf_iterator<char>(file), {}});
  Scopes scopes;
  std::string head;  // of the statement so far
  int line = 1;
  for (const char c : code) {
    line += c == '\n' ? 1 : 0;
    if (c == '{' || c == '=') {
      const std::string name = defined_type(head, c);
      if (!name.empty() && scopes.is_shared())
        definitions[scopes.prefix() + name].emplace(path, line);
    }
    if (c == '{') scopes.open(head);
    if (c == '}') scopes.close();
    if (c == '{' || c == '}' || c == ';') {
      head.clear();
    } else {
      head += c;
    }
  }
}

// All names that stand in more than one place, as "name: file:line file:line".
std::vector<std::string> doubled_names(const fs::path& root) {
  Definitions definitions;
  std::set<fs::path> sources;
  for (const fs::path& tree : {root / "include", root / "src"}) {
    for (const auto& entry : fs::recursive_directory_iterator(tree)) {
      const std::string kind = entry.path().extension().string();
      if (kind == ".h" || kind == ".cpp") sources.insert(entry.path());
    }
  }
  for (const fs::path& source : sources) collect(source, definitions);
  std::vector<std::string> doubled;
  for (const auto& [name, places] : definitions) {
    if (places.size() == 1) continue;
    doubled.push_back(name + ":");
    for (const auto& [file, line] : places)
      doubled.back() += " " + file.string() + ":" + std::to_string(line);
  }
  return doubled;
}

TEST(TypeNames, StandOnceInANamespace) {
  EXPECT_THAT(doubled_names(STREAMO_SOURCE_DIR), IsEmpty());
}

TEST(TypeNames, ThatScanSeesTheTypesOfTheSources) {
  Definitions found;
  const fs::path root = STREAMO_SOURCE_DIR;
  collect(root / "include/streamo/core/error.h", found);
  collect(root / "src/video/image/picture.h", found);
  for (const char* name :
       {"streamo::core::Error", "streamo::core::ErrorKind", "streamo::core::Result",
        "streamo::core::Fault", "streamo::video::Picture"})
    EXPECT_EQ(found.count(name), 1U) << name;
}

// Two made-up files of one tree, to see that the check can fail.
class TwoFiles : public testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::path(testing::TempDir()) /
            ("streamo_type_names_" +
             std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::create_directories(root_ / "include");
    fs::create_directories(root_ / "src");
  }
  void TearDown() override { fs::remove_all(root_); }

  std::vector<std::string> doubled_in(const std::string& header, const std::string& source) const {
    std::ofstream(root_ / "include/a.h") << header;
    std::ofstream(root_ / "src/b.cpp") << source;
    return doubled_names(root_);
  }
  std::string places(const std::string& name, int first, int second) const {
    return name + ": " + (root_ / "include/a.h").string() + ":" + std::to_string(first) + " " +
           (root_ / "src/b.cpp").string() + ":" + std::to_string(second);
  }

  fs::path root_;
};

TEST_F(TwoFiles, TwoStructsOfOneNameAreFoundWithTheirPlaces) {
  EXPECT_THAT(doubled_in("namespace a::b {\n// struct One\nstruct One {\n  int x;\n};\n}\n",
                         "#include \"a.h\"\nnamespace a {\nnamespace b {\nclass One final : "
                         "Base<int> {};\n}\n}\n"),
              ElementsAre(places("a::b::One", 3, 4)));
}

TEST_F(TwoFiles, EnumsTemplatesUnionsAndAliasesCountToo) {
  EXPECT_THAT(
      doubled_in("namespace a { enum class E : int { kOne = '{' };\n"
                 "template <class T, class U = int> struct V {};\nusing Id = int; }\n",
                 "namespace a { union E {};\ntemplate <typename T>\nstruct alignas(64) V {};\n"
                 "using Id = int; }\n"),
      ElementsAre(places("a::E", 1, 1), places("a::Id", 3, 4), places("a::V", 2, 3)));
}

TEST_F(TwoFiles, WhatIsAnotherTypeOrAFilesOwnPasses) {
  EXPECT_THAT(
      doubled_in(
          "namespace a { struct One { struct Inner {}; }; struct Later; }\nnamespace c { struct "
          "One {}; }\n"
          "namespace a { struct Two { enum class Inner {}; }; template <> struct V<int> {}; }\n",
          "namespace a {\nnamespace { struct One { const char* text = \"namespace x {\"; }; }\n"
          "struct Later { int million = 1'000'000; char brace = '}'; };\n"
          "void f() { struct One {}; using Id = int; }\nvoid g() { using Id = int; }\n"
          "template <> struct V<long> {};\nstruct One f(struct One x);\n"
          "const char* raw = R\"x(struct Later {)x\"; }\n"),
      IsEmpty());
}

}  // namespace
}  // namespace streamo
