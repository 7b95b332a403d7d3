// A program of your own around the live session: prints each second of a video, and what a trained
// model says to a question about it.
//
//     live_session MODEL_FOLDER VIDEO QUESTION
#include <exception>
#include <iostream>

#include "streamo/stream/model_bundle.h"
#include "streamo/video/sampler.h"

namespace {

using namespace streamo;

int watch(const std::string& folder, const std::string& path, const std::string& question) {
  // What the model was trained with, system prompt, rate, picture size and context, comes with it.
  const auto bundle = stream::ModelBundle::open(folder);
  auto video = video::FrameSampler::open(path, bundle.sample_options());
  if (!video) {
    std::cerr << "error: " << video.reason() << "\n";
    return 1;
  }

  stream::Session session(*bundle.model, bundle.format, bundle.session_options());
  session.begin(bundle.settings.system_prompt);
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
