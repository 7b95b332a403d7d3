// What is shown goes through core: there control characters are written out, and what cannot be
// written is either an error (results) or left out (messages). Reads the sources as text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

namespace streamo {
namespace {

namespace fs = std::filesystem;

TEST(Printing, IsCoresAlone) {
  static const std::regex prints(
      R"(fmt::print|std::cout|std::cerr|std::clog|\bf?printf\(|\bf?puts\()");
  std::vector<std::string> found;
  for (const char* folder : {"/src", "/include"}) {
    for (const auto& entry :
         fs::recursive_directory_iterator(STREAMO_SOURCE_DIR + std::string(folder))) {
      const std::string path = entry.path().string();
      if (!entry.is_regular_file() || path.find("/core/print.") != std::string::npos) continue;
      std::ifstream file(path);
      std::string line;
      for (int number = 1; std::getline(file, line); ++number) {
        if (std::regex_search(line, prints)) found.push_back(path + ":" + std::to_string(number));
      }
    }
  }
  EXPECT_THAT(found, testing::IsEmpty()) << "use core/print.h or core/log.h";
}

}  // namespace
}  // namespace streamo
