// A model directory as a training run leaves it, for the tests of commands that need one.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "support/run_command.h"

namespace streamo::test {

// Trains the example's model for one step in `folder`: what it says is chance, and always the same.
inline std::filesystem::path make_tiny_model(const std::filesystem::path& folder,
                                             const std::string& overrides = "") {
  std::filesystem::create_directories(folder);
  const nlohmann::json config = {
      {"model", {{"preset", "example"}, {"vocab_size", 400}}},
      {"data",
       {{"train", {STREAMO_SOURCE_DIR "/dataset/example/raw_data.json"}}, {"packing", false}}},
      {"train", {{"max_steps", 1}, {"num_threads", 1}}},
      {"checkpoint", {{"dir", "run"}, {"every_steps", 0}}}};
  std::ofstream(folder / "config.json") << config.dump();
  const CommandResult trained =
      run_in(folder, shell_quote(STREAMO_BINARY) + " train config.json " + overrides);
  if (trained.exit_code != 0) throw std::runtime_error(trained.err);
  return folder / "run/final";
}

}  // namespace streamo::test
