// A folder with a training run that takes a second or two, for the tests of what happens around it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "support/command_folder.h"
#include "support/example_records.h"

namespace streamo::test {

// config.json trains on raw.json; `streamo train config.json` makes "run" in it.
class SmallRun : public CommandFolder {
 public:
  explicit SmallRun(const std::string& name, int steps = 2) : CommandFolder(name) {
    using nlohmann::json;
    write_json("raw.json", example_record_of_each_video());
    write_json("config.json",
               json{{"model", {{"preset", "example"}, {"vocab_size", 400}}},
                    {"data",
                     {{"train", "raw.json"},
                      {"num_workers", 1},
                      {"max_pixels", 6272},
                      {"system_prompt", "Watch."}}},
                    {"train", {{"max_steps", steps}, {"micro_batch_size", 1}, {"num_threads", 1}}},
                    {"checkpoint", {{"dir", "run"}}},
                    {"log", {{"tensorboard", false}, {"every_steps", 1}}}});
  }

  // `redirections` and the like go behind it, `before` in front.
  CommandResult train(const std::string& behind = "", const std::string& before = "") const {
    return run("export OMP_NUM_THREADS=1; " + before + " " + shell_quote(STREAMO_BINARY) +
               " train config.json " + behind);
  }
};

}  // namespace streamo::test
