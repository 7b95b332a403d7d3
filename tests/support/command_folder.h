// A folder of a test's own, in which commands are run as a user would run them.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/io/scratch_folder.h"
#include "support/run_command.h"

namespace streamo::test {

// Exists as long as the object.
class CommandFolder {
 public:
  explicit CommandFolder(const std::string& name) : path_(scratch_.path() / name) {
    std::filesystem::create_directory(path_);
  }

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::filesystem::path& name) const { return path_ / name; }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
  }
  void write_json(const std::string& name, const nlohmann::json& content) const {
    write(name, content.dump(1) + "\n");
  }
  std::string read(const std::string& name) const {
    std::ifstream file(path_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  nlohmann::json read_json(const std::string& name) const {
    return nlohmann::json::parse(read(name));
  }
  std::vector<nlohmann::json> read_json_lines(const std::string& name) const {
    std::vector<nlohmann::json> lines;
    std::ifstream file(path_ / name);
    for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
  }

  CommandResult run(const std::string& command) const { return run_in(path_, command); }
  CommandResult streamo(const std::string& arguments) const {
    return run(shell_quote(STREAMO_BINARY) + " " + arguments);
  }

 private:
  core::ScratchFolder scratch_;
  std::filesystem::path path_;
};

}  // namespace streamo::test
