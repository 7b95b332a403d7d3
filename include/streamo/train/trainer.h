// The training run, from restored state to exported model.
#pragma once

#include <filesystem>
#include <memory>

#include "streamo/dist/ranks.h"
#include "streamo/train/run_config.h"

namespace streamo::train {

enum class Outcome { kFinished, kStoppedAndSaved };

class Trainer {
 public:
  // Prepares everything and checks it: run folder, data, tokenizer, model, checkpoint to go on
  // from. `ranks`: the processes of the run, each of which has a Trainer; the first one writes.
  explicit Trainer(RunConfig config,
                   std::shared_ptr<dist::Ranks> ranks = std::make_shared<dist::Ranks>());
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
