// A stream watched without a word, that can be questioned at any moment: how benchmarks that cut
// the video at the question are played in one pass over it. What is asked and answered is forgotten
// again, so each answer is that of a fresh conversation which ends there.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "streamo/model/vision_language_model.h"
#include "streamo/text/chat_format.h"
#include "streamo/video/sampler.h"

namespace streamo::eval {

class SilentWatch {
 public:
  // Uses `model` and `format`, which must outlive it. `system_prompt` "": no system message.
  SilentWatch(model::VisionLanguageModel& model, const text::ChatFormat& format,
              const std::string& system_prompt, double fps);

  // The next turn: this picture, and the model says </Silence>.
  void watch(const video::Frame& frame);
  // The answer to a question in the next turn, of this picture: </Response> is said for the model,
  // then its most probable tokens follow, to the end of the turn or `max_tokens`; blanks at the
  // ends aside. The turn is not remembered.
  std::string ask(const std::string& question, const video::Frame& frame, int64_t max_tokens);

 private:
  // Said and shown, but not yet fed to the model.
  struct Pending {
    text::TokenSequence tokens;
    std::vector<torch::Tensor> patches;
    std::vector<model::ImageGrid> grid;
  };

  void append_turn(const std::string& question, const video::Frame& frame, Pending& to) const;
  torch::Tensor feed(const Pending& pending);  // hidden state of the last token, [1, H]
  void feed_all_but_last();
  std::string generate(torch::Tensor hidden_state, int64_t max_tokens);

  model::VisionLanguageModel& model_;
  const text::ChatFormat& format_;
  double fps_;
  torch::Device device_;
  int64_t turn_ = 0;
  model::KvCache cache_;
  Pending pending_;
};

}  // namespace streamo::eval
