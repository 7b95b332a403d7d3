// The training run, from restored state to exported model.
#pragma once

#include <filesystem>
#include <memory>

#include "config/run_config.h"
#include "parallel/ranks.h"

namespace streamo::train {

enum class Outcome { kFinished, kStoppedAndSaved };

class Trainer {
 public:
  // Prepares everything and checks it: run folder, data, tokenizer, model, checkpoint to go on
  // from. `ranks`: the processes of the run, each of which has a Trainer; the first one writes.
  explicit Trainer(config::RunConfig config,
                   std::shared_ptr<parallel::Ranks> ranks = std::make_shared<parallel::Ranks>());
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  // Trains to the last step, evaluates, writes <dir>/final and <dir>/report.html; or, after SIGTERM
  // or SIGINT, saves a checkpoint and returns.
  Outcome run();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace streamo::train
