// What a second of video costs a live session, second by second. docs/live.md.
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/io/file.h"
#include "core/rng.h"
#include "data/samples/training_example.h"
#include "model/hf_directory.h"
#include "model/weights/safetensors.h"
#include "streamo/stream/session.h"

namespace streamo::bench {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using torch::Tensor;

struct Options {
  std::string config, folder;
  int64_t seconds = 120, window = 120, overlap = 60;
  bool write = false;
};

constexpr int kHeight = 224, kWidth = 448;  // 128 visual tokens, as the recipe has at most
constexpr const char* kSystem = "You watch a video while it is being played.";
constexpr const char* kQuestion = "Tell me when the ball crosses the line.";

video::Frame noise(int64_t second) {
  core::Rng rng{static_cast<uint64_t>(second)};
  video::Frame frame;
  frame.index = second;
  frame.size = {kHeight, kWidth};
  frame.rgb.resize(size_t{kHeight} * kWidth * 3);
  for (size_t i = 0; i < frame.rgb.size(); i += 8) {
    uint64_t bits = rng.next();
    for (size_t j = 0; j < 8; ++j, bits >>= 8U) frame.rgb[i + j] = static_cast<uint8_t>(bits);
  }
  return frame;
}

// A tokenizer, a config that names its ids, random weights.
void write_model(const Options& options) {
  std::vector<std::string> texts;
  for (int i = 0; i < 200; ++i) {
    texts.push_back(fmt::format("{} {} {}", kSystem, kQuestion, data::time_tag(i, 1)));
  }
  const fs::path folder = options.folder;
  fs::create_directories(folder);
  text::train_tokenizer(texts, 320, folder);
  const auto tokenizer = text::load_tokenizer(folder);
  Json config = Json::parse(core::read_file(options.config));
  config["image_token_id"] = tokenizer->special_id(text::kImagePad);
  config["video_token_id"] = tokenizer->special_id(text::kVideoPad);
  config["vision_start_token_id"] = tokenizer->special_id(text::kVisionStart);
  config["vision_end_token_id"] = tokenizer->special_id(text::kVisionEnd);
  core::write_file_atomic(folder / "config.json", config.dump(2) + "\n");
  auto model = model::build_model(folder / "config.json");
  model::initialize_weights(*model, 1);
  model::write_safetensors(folder / "model.safetensors", model::named_weights(*model));
}

// The same silent stream for another implementation: ids [L]; ends [seconds], where each second's
// decision is made; positions, pictures, and the three states' ids.
void write_stream(const Options& options, const model::VisionLanguageModel& model,
                  const text::ChatFormat& format) {
  text::TokenSequence sequence;
  std::vector<Tensor> patches;
  std::vector<model::ImageGrid> grid;
  std::vector<int64_t> ends;
  format.append({"system", kSystem}, {}, sequence);
  const std::vector<text::TokenId> prompt = format.assistant_prompt();
  for (int64_t second = 0; second < options.seconds; ++second) {
    const video::Frame frame = noise(second);
    const std::vector<int64_t> tokens = {data::image_tokens(frame.size, 28)};
    format.append({"user", data::user_content(second == 0 ? kQuestion : "", second, 1)}, tokens,
                  sequence);
    ends.push_back(static_cast<int64_t>(sequence.input_ids.size() + prompt.size()));
    format.append({"assistant", "</Silence>"}, {}, sequence);
    const Tensor picture = torch::empty({1, kHeight, kWidth, 3}, torch::kUInt8);
    std::copy(frame.rgb.begin(), frame.rgb.end(), picture.data_ptr<uint8_t>());
    std::vector<model::ImageGrid> own;
    patches.push_back(model.patchify(picture, &own));
    grid.push_back(own.at(0));
  }
  const auto row = [](const auto& values) {
    return torch::tensor(std::vector<int64_t>(values.begin(), values.end()), torch::kLong);
  };
  const Tensor positions = model.position_ids(sequence.input_ids, grid, 0, nullptr);
  model::write_safetensors(fs::path(options.folder) / "stream.safetensors",
                           {{"input_ids", row(sequence.input_ids)},
                            {"ends", row(ends)},
                            {"position_ids", positions},
                            {"pixel_values", torch::cat(patches)},
                            {"grid", torch::tensor({grid[0].t, grid[0].h, grid[0].w})},
                            {"states", row(format.special().states)}});
}

Json watch(const Options& options, model::VisionLanguageModel& model,
           const text::ChatFormat& format) {
  stream::Session session(
      model, format,
      {.context = {.max_rounds = options.window, .overlap_rounds = options.overlap},
       // Never speaks: what costs is a second of video.
       .thresholds = {.response = 2.0F, .standby = 2.0F}});
  session.begin(kSystem);
  session.ask(kQuestion);
  std::vector<double> seconds;
  Json probabilities;
  for (int64_t second = 0; second < options.seconds; ++second) {
    const video::Frame frame = noise(second);
    const auto start = std::chrono::steady_clock::now();
    probabilities = session.push(frame).probabilities;
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {{"threads", at::get_num_threads()},
          {"seconds", seconds},
          {"probabilities", probabilities},
          {"cache_bytes", session.cache_bytes()},
          {"peak_bytes", usage.ru_maxrss * 1024}};
}

void run(const Options& options) {
  if (options.write) write_model(options);
  const fs::path folder = options.folder;
  const auto tokenizer = text::load_tokenizer(folder);
  const text::ChatFormat format(*tokenizer);
  const auto model = model::build_model(folder / "config.json");
  model::load_weights(*model, folder, torch::kFloat32, torch::kCPU);
  if (options.write) return write_stream(options, *model, format);
  std::cout << watch(options, *model, format).dump() << "\n";
}

}  // namespace
}  // namespace streamo::bench

int main(int argc, char** argv) {
  streamo::bench::Options options;
  CLI::App app("Seconds that each second of a silent stream takes, as JSON");
  app.add_option("--config", options.config, "Model, for --write");
  app.add_option("--folder", options.folder, "Weights and stream")->required();
  app.add_option("--seconds", options.seconds);
  app.add_option("--window", options.window);
  app.add_option("--overlap", options.overlap);
  app.add_flag("--write", options.write, "Only write the folder");
  CLI11_PARSE(app, argc, argv);
  streamo::bench::run(options);
}
