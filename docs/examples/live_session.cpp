// A program of your own around the live session: prints each second of a video, and what a trained
// model says to a question about it.
//
//     live_session MODEL_FOLDER VIDEO QUESTION
#include <exception>
#include <iostream>

#include "data/samples/conversation.h"
#include "streamo/model/hf_directory.h"
#include "streamo/stream/session.h"
#include "streamo/video/sampler.h"

namespace {

using namespace streamo;

int watch(const std::string& folder, const std::string& path, const std::string& question) {
  const auto tokenizer = text::load_tokenizer(folder);
  const text::ChatFormat format(*tokenizer);
  const auto model = model::build_model(folder + "/config.json");
  model::load_weights(*model, folder, torch::kFloat32, torch::kCPU);

  // Rate, picture size and system prompt as in training: streamo.json beside the weights has them.
  auto video = video::FrameSampler::open(path, {.fps = 1, .pixel_limits = video::PixelLimits{}});
  if (!video) {
    std::cerr << "error: " << video.reason() << "\n";
    return 1;
  }

  stream::Session session(*model, format,
                          {.context = {.max_rounds = 120, .overlap_rounds = 60}, .fps = 1});
  session.begin(data::default_system_prompt());
  const stream::QuestionId id = session.ask(question);
  session.ask("What else is there?", /*second=*/90);  // several may be open

  for (;;) {
    const auto frame = video->next();
    if (!frame || !*frame) break;  // the end, or (!frame) a fault
    if ((*frame)->index == 300) session.withdraw(id);
    const auto on_text = [](std::string_view piece) { std::cout << piece << std::flush; };
    std::cout << (*frame)->time << " s" << std::flush;
    const stream::Round round = session.push(**frame, on_text);  // tokens as they come
    const auto& p = round.probabilities;
    std::cout << "\t" << text::kStateNames[static_cast<size_t>(round.state)] << "\t" << p[0] << " "
              << p[1] << " " << p[2] << "\n";
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: live_session MODEL_FOLDER VIDEO QUESTION\n";
    return 2;
  }
  try {
    return watch(argv[1], argv[2], argv[3]);
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
