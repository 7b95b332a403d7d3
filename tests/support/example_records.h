// Some of the samples that come with the repository (dataset/example), for tests that need few.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

namespace streamo::test {

// The first of each video, 4 short ones, to be read from any folder.
inline nlohmann::json example_record_of_each_video() {
  const std::filesystem::path example = STREAMO_SOURCE_DIR "/dataset/example";
  nlohmann::json few = nlohmann::json::array();
  std::set<std::string> seen;
  for (nlohmann::json record : nlohmann::json::parse(std::ifstream(example / "raw_data.json"))) {
    const std::string video = record["video_path"];
    if (!seen.insert(video).second) continue;
    record["video_path"] = (example / video).string();
    few.push_back(record);
  }
  return few;
}

}  // namespace streamo::test
