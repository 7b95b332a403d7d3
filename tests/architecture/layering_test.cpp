// The direction of the architecture: a module includes and links only what the table below allows,
// and the light modules stay free of LibTorch, so that they build and start in a moment. What is
// installed for programs of others is what a live session needs, and sees nothing else of this
// repository. Reads the sources as text; what the truth is stands in the tables and nowhere else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace streamo {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;

// What each module may use besides itself.
const std::map<std::string, std::set<std::string>> kAllowed = {
    {"core", {}},
    {"video", {"core"}},
    {"decoder", {"core", "video"}},  // a program of its own
    {"text", {"core"}},
    {"data", {"core", "video", "text"}},
    {"metrics", {"core", "text"}},
    {"nn", {"core"}},
    {"model", {"core", "nn"}},
    {"loss", {"core", "nn"}},
    {"parallel", {"core", "nn", "model"}},
    {"optim", {"core", "nn", "model", "parallel"}},
    {"checkpoint", {"core", "model"}},
    {"stream", {"core", "video", "text", "data", "model"}},
    {"eval", {"core", "video", "text", "data", "nn", "model", "stream"}},
    {"config", {"core", "video", "text", "data", "model", "parallel", "stream", "eval"}},
    {"run",
     {"core", "video", "text", "data", "model", "parallel", "checkpoint", "stream", "eval",
      "config"}},
    {"report", {"core", "text", "eval", "metrics", "run"}},
    {"train",
     {"core", "video", "text", "data", "metrics", "nn", "model", "loss", "parallel", "optim",
      "checkpoint", "stream", "eval", "config", "run", "report"}},
    {"estimate",
     {"core", "text", "data", "model", "loss", "parallel", "optim", "config", "run", "train"}},
    {"compare",
     {"core", "video", "text", "data", "model", "loss", "parallel", "optim", "checkpoint", "stream",
      "config", "run", "train"}},
    {"app",
     {"core", "video", "text", "data", "metrics", "nn", "model", "loss", "parallel", "optim",
      "checkpoint", "stream", "eval", "config", "run", "report", "train", "estimate", "compare"}},
};
// Of some modules another may use only this: commands train, and have no part in how.
const std::map<std::pair<std::string, std::string>, std::string> kOnlyHeader = {
    {{"app", "train"}, "train/trainer.h"},
};
// What a program around a live session includes; these, and what they include, are installed.
const std::vector<std::string> kEntrances = {"streamo/stream/model_bundle.h",
                                             "streamo/video/live_sampler.h"};
const std::set<std::string> kWithoutTorch = {"core", "video", "decoder", "text", "data", "metrics"};

bool may_use(const std::string& module, const std::string& other) {
  return other == module || kAllowed.at(module).count(other) > 0;
}

// What is wrong with `included` in a file of `module`; empty if nothing is.
std::string complaint_about_include(const std::string& module, const std::string& included) {
  static const std::regex torch("(torch|ATen|c10)/.*");
  if (kWithoutTorch.count(module) && std::regex_match(included, torch)) {
    return "includes <" + included + ">, but " + module + " is built without LibTorch";
  }
  if (included.rfind("..", 0) == 0) {
    return "includes \"" + included + "\", write the path from include/ or src/ on";
  }
  const std::string path = included.rfind("streamo/", 0) == 0 ? included.substr(8) : included;
  const std::string other = path.substr(0, path.find('/'));
  if (kAllowed.count(other) && path != other && !may_use(module, other)) {
    return "includes \"" + included + "\", but " + module + " may not use " + other;
  }
  const auto only = kOnlyHeader.find({module, other});
  if (only != kOnlyHeader.end() && path != only->second) {
    return "includes \"" + included + "\", but of " + other + " " + module + " may use only " +
           only->second;
  }
  return "";
}

struct Include {
  int line;
  std::string name;
  bool quoted;  // a file of ours
};

std::vector<Include> includes_of(const fs::path& path) {
  static const std::regex include(R"re(^\s*#\s*include\s*([<"])([^>"]+)[>"].*)re");
  std::vector<Include> includes;
  std::ifstream file(path);
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    std::smatch match;
    if (std::regex_match(line, match, include))
      includes.push_back({number, match[2], match[1] == "\""});
  }
  return includes;
}

void check_sources(const std::string& module, const fs::path& path,
                   std::vector<std::string>& complaints) {
  for (const Include& include : includes_of(path)) {
    const std::string complaint = complaint_about_include(module, include.name);
    if (complaint.empty()) continue;
    complaints.push_back(path.string() + ":" + std::to_string(include.line) + ": " + complaint);
  }
}

// The build file of a module names the libraries of others as streamo_<module>.
void check_links(const std::string& module, const fs::path& path,
                 std::vector<std::string>& complaints) {
  static const std::regex library("streamo_([a-z]+)");
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  for (std::sregex_iterator match(text.begin(), text.end(), library), end; match != end; ++match) {
    const std::string other = (*match)[1];
    if (kAllowed.count(other) && !may_use(module, other)) {
      complaints.push_back(path.string() + ": links streamo_" + other + ", but " + module +
                           " may not use " + other);
    }
  }
}

void check_folder(const fs::path& folder, std::vector<std::string>& complaints) {
  const std::string module = folder.filename().string();
  if (!kAllowed.count(module)) {
    complaints.push_back(folder.string() + ": module " + module +
                         " is not in the table of tests/architecture/layering_test.cpp");
    return;
  }
  const std::set<std::string> sources = {".h", ".cpp", ".cu", ".cuh"};
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (sources.count(entry.path().extension().string())) {
      check_sources(module, entry.path(), complaints);
    } else if (entry.path().filename() == "CMakeLists.txt") {
      check_links(module, entry.path(), complaints);
    }
  }
}

// All breaches under `root`, as "file:line: what", sorted.
std::vector<std::string> find_breaches(const fs::path& root) {
  std::vector<std::string> complaints;
  for (const fs::path& tree : {root / "include/streamo", root / "src"}) {
    for (const auto& entry : fs::directory_iterator(tree)) {
      if (entry.is_directory()) check_folder(entry.path(), complaints);
    }
  }
  std::sort(complaints.begin(), complaints.end());
  return complaints;
}

// What an installed header includes and would not find, and headers that nobody needs to have, as
// "header: what", sorted.
std::vector<std::string> breaches_of_fence(const fs::path& root) {
  std::vector<std::string> complaints, open = kEntrances;
  std::set<std::string> needed(open.begin(), open.end());
  while (!open.empty()) {
    const std::string header = open.back();
    open.pop_back();
    if (!fs::exists(root / "include" / header)) complaints.push_back(header + ": is not there");
    for (const Include& include : includes_of(root / "include" / header)) {
      if (!include.quoted) continue;
      if (include.name.rfind("streamo/", 0) != 0) {
        complaints.push_back(header + ": includes \"" + include.name +
                             "\", which is not installed");
      } else if (needed.insert(include.name).second) {
        open.push_back(include.name);
      }
    }
  }
  for (const auto& entry : fs::recursive_directory_iterator(root / "include")) {
    const std::string header = fs::relative(entry.path(), root / "include").string();
    if (entry.is_regular_file() && needed.count(header) == 0)
      complaints.push_back(header + ": no live session needs it, it belongs to src/");
  }
  std::sort(complaints.begin(), complaints.end());
  return complaints;
}

TEST(Layering, WhatIsInstalledIsWhatALiveSessionNeeds) {
  EXPECT_THAT(breaches_of_fence(STREAMO_SOURCE_DIR), IsEmpty());
}

TEST(Layering, SourcesFollowTheArchitecture) {
  std::string lines;
  for (const std::string& breach : find_breaches(STREAMO_SOURCE_DIR)) lines += breach + "\n";
  EXPECT_EQ(lines, "");
}

TEST(Layering, TableHasNoCycle) {  // a module comes after all that it uses in some order
  std::set<std::string> done;
  for (size_t round = 0; round < kAllowed.size(); ++round) {
    for (const auto& [module, uses] : kAllowed) {
      if (std::includes(done.begin(), done.end(), uses.begin(), uses.end())) done.insert(module);
    }
  }
  EXPECT_EQ(done.size(), kAllowed.size());
}

// A made-up source tree with one file, to see that the check above can fail.
class MadeUpTree : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::path(testing::TempDir()) / (std::string("streamo_layering_") + test->name());
    fs::remove_all(root_);
    fs::create_directories(root_ / "include/streamo/core");
    fs::create_directories(root_ / "src/core");
  }
  void TearDown() override { fs::remove_all(root_); }

  std::vector<std::string> breaches_with(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
    return find_breaches(root_);
  }

  fs::path root_;
};

TEST_F(MadeUpTree, UpwardIncludeIsFoundWithItsLine) {
  EXPECT_THAT(
      breaches_with("src/core/bad.cpp", "#include <string>\n\n#include \"streamo/video/x.h\"\n"),
      ElementsAre(HasSubstr("src/core/bad.cpp:3: includes \"streamo/video/x.h\"")));
}

TEST_F(MadeUpTree, UpwardIncludeOfAPrivateHeaderIsFound) {
  EXPECT_THAT(breaches_with("src/loss/a/bad.cpp", "#include \"train/x.h\"\n"),
              ElementsAre(EndsWith("loss may not use train")));
}

TEST_F(MadeUpTree, CommandsKnowTheTrainerAlone) {
  EXPECT_THAT(breaches_with("src/app/bad.cpp",
                            "#include \"train/trainer.h\"\n#include \"train/model_setup.h\"\n"),
              ElementsAre(AllOf(HasSubstr("bad.cpp:2:"), EndsWith("only train/trainer.h"))));
}

TEST_F(MadeUpTree, GapsInTheFenceAreFound) {
  fs::create_directories(root_ / "include/streamo/stream");
  fs::create_directories(root_ / "include/streamo/text");
  std::ofstream(root_ / "include/streamo/stream/model_bundle.h")
      << "#include <string>\n#include \"streamo/core/a.h\"\n";
  std::ofstream(root_ / "include/streamo/core/a.h") << "#include \"core/log.h\"\n";
  std::ofstream(root_ / "include/streamo/text/spare.h");
  EXPECT_THAT(breaches_of_fence(root_),
              ElementsAre("streamo/core/a.h: includes \"core/log.h\", which is not installed",
                          HasSubstr("text/spare.h: no live session needs it"),
                          "streamo/video/live_sampler.h: is not there"));
}

TEST_F(MadeUpTree, RelativeIncludeIsFound) {
  EXPECT_THAT(breaches_with("src/core/bad.cpp", "#include \"../video/x.h\"\n"),
              ElementsAre(HasSubstr("write the path from")));
}

TEST_F(MadeUpTree, TorchInALightModuleIsFound) {
  EXPECT_THAT(
      breaches_with(
          "include/streamo/data/bad.h",
          "#include <torch/torch.h>\n  #  include <ATen/ATen.h>\n#include \"c10/x.h\" // why\n"),
      ElementsAre(HasSubstr("bad.h:1:"), HasSubstr("bad.h:2:"), HasSubstr("bad.h:3:")));
}

TEST_F(MadeUpTree, UpwardLinkIsFound) {
  EXPECT_THAT(
      breaches_with("src/model/CMakeLists.txt", "streamo_module(model DEPENDS streamo_train)"),
      ElementsAre(HasSubstr("links streamo_train")));
}

TEST_F(MadeUpTree, ModuleWithoutARuleIsFound) {
  EXPECT_THAT(breaches_with("src/novel/x.cpp", ""), ElementsAre(HasSubstr("module novel")));
}

TEST_F(MadeUpTree, WhatTheTableAllowsPasses) {
  EXPECT_THAT(
      breaches_with("src/nn/good.cpp",
                    "#include <torch/torch.h>\n#include \"nn/own.h\"\n"
                    "#include \"streamo/core/error.h\"\n// #include \"streamo/train/x.h\"\n"),
      IsEmpty());
}

}  // namespace
}  // namespace streamo
