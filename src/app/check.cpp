// streamo check CONFIG|FILE: finds what is wrong or suspicious about a dataset before a run does.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "app/command.h"
#include "app/number_option.h"
#include "config/options.h"
#include "config/run_config.h"
#include "core/io/scratch_folder.h"
#include "core/json/dump_json.h"
#include "core/log.h"
#include "core/print.h"
#include "core/process/machine.h"
#include "data/check/dataset_check.h"
#include "run/model_directory.h"
#include "streamo/core/error.h"
#include "video/cache/frame_cache.h"

namespace streamo::app {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string input;
  std::vector<std::string> overrides;
  bool json = false;
  int num_workers = std::min(core::num_cores(), 1024);
};

struct CheckedSet {
  std::string key;  // of the config: "train" or "eval"
  data::DatasetCheck check;
};

// A config is one object (with comments), and none of its keys is a sample's.
bool is_annotation_file(const fs::path& path) {
  if (path.extension() == ".jsonl" || path.extension() == ".ndjson") return true;
  std::ifstream file(path, std::ios::binary);
  std::string beginning(3, '\0');
  file.read(beginning.data(), 3);
  if (beginning != "\xEF\xBB\xBF") {  // no mark of UTF-8
    file.clear();
    file.seekg(0);
  }
  char first = 0;
  if (!(file >> first)) return false;  // load_file() says what is wrong
  if (first == '[') return true;
  if (first != '{') return false;
  try {
    const data::RecordFile records(path);
    const auto record = records.read(0);
    return record && data::detect_format(*record);
  } catch (const core::Error&) {  // comments, perhaps
    return false;
  }
}

config::RunConfig load_settings(const Arguments& arguments) {
  if (!is_annotation_file(arguments.input)) {
    return config::load_run_config(arguments.input, arguments.overrides);
  }
  config::RunConfig config;
  config::make_schema(config).apply_overrides(arguments.overrides);
  config.data.train = {arguments.input};
  return config;
}

// The model's directory as a run would have it: its tokenizer and its pictures' limits. Empty when
// no model is named, or when a preset finds no text to train a tokenizer on.
fs::path model_directory(const config::RunConfig& config, const fs::path& scratch,
                         const data::SampleSource& source) {
  if (config.model.path.empty() && config.model.preset.empty()) return {};
  try {
    if (!config.model.preset.empty())
      core::log_info("training the preset's tokenizer on the texts");
    return run::prepare_model_directory(config, scratch, source, /*write=*/true).path;
  } catch (const core::Error& error) {
    if (error.kind() != core::ErrorKind::kData) throw;
    return {};  // no sample can be used: that is listed in a moment
  }
}

// What the cache knows of a video need not be read from the video again.
std::shared_ptr<video::FrameCache> known_videos(const config::RunConfig& config) {
  if (!fs::is_directory(config.data.frame_cache)) return nullptr;
  return std::make_shared<video::FrameCache>(
      video::FrameCacheOptions{.folder = config.data.frame_cache, .is_read_only = true});
}

std::vector<CheckedSet> check(config::RunConfig config, int num_workers) {
  config.data.num_workers = num_workers;
  const core::ScratchFolder scratch;
  const auto known = known_videos(config);
  data::SampleSource source =
      config::open_source(config, config.data.train, /*model_dir=*/{}, known);
  const fs::path model_dir = model_directory(config, scratch.path(), source);
  source.set_pixel_limits(config::pixel_limits(config, model_dir));
  std::unique_ptr<text::Tokenizer> tokenizer;
  std::unique_ptr<text::ChatFormat> chat;
  data::CheckOptions options;
  options.index = config::index_options(config, options.index.token_side);
  if (!model_dir.empty()) {
    tokenizer = text::load_tokenizer(model_dir);
    chat = std::make_unique<text::ChatFormat>(*tokenizer);
    options.chat = chat.get();
    options.plan = config::plan_options(config);
  }
  data::DatasetChecker checker;
  std::vector<CheckedSet> sets;
  sets.push_back({"train", checker.check("checking", source, options)});
  if (!config.data.eval.empty()) {
    // Played turn by turn, whatever its length: no windows, no steps.
    const data::SampleSource held_out =
        config::open_source(config, config.data.eval, model_dir, known);
    sets.push_back(
        {"eval", checker.check("checking data.eval", held_out,
                               {.chat = nullptr, .index = options.index, .for_training = false})});
  }
  return sets;
}

// Of the first set that has one.
std::optional<std::pair<std::string, std::string>> first_problem(
    const std::vector<CheckedSet>& sets, const config::RunConfig& config) {
  for (const CheckedSet& set : sets) {
    // An evaluation leaves out what it cannot read, and says so.
    const double limit = set.key == "train" ? config.data.max_bad_fraction : 1;
    if (auto problem = data::dataset_problem(set.check, limit)) return std::pair{set.key, *problem};
  }
  return std::nullopt;
}

void run(const Arguments& arguments) {
  const config::RunConfig config = load_settings(arguments);
  const double started = core::monotonic_seconds();
  const std::vector<CheckedSet> sets = check(config, arguments.num_workers);
  const auto problem = first_problem(sets, config);
  if (arguments.json) {
    nlohmann::ordered_json json = {{"input", arguments.input}, {"ok", !problem}};
    json["problem"] = nullptr;
    if (problem) json["problem"] = problem->second;
    json["max_bad_fraction"] = config.data.max_bad_fraction;
    for (const CheckedSet& set : sets) json["sets"][set.key] = data::to_json(set.check);
    core::print_result("{}\n", core::dump_json(json, 2));
  } else {
    for (const CheckedSet& set : sets) {
      if (sets.size() > 1) core::print_result("== data.{} ==\n", set.key);
      core::print_result("{}\n", data::to_text(set.check, config.data.max_bad_fraction));
    }
  }
  core::flush_results();
  core::log_info("checked in {:.1f} s", core::monotonic_seconds() - started);
  if (!problem) return;
  throw core::Error(core::ErrorKind::kData, problem->second,
                    fmt::format("data.{} of {}", problem->first, arguments.input),
                    "mend the samples listed as unusable, or leave them out");
}

}  // namespace

void add_check_command(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "check", "Go through a dataset before training: what is unusable, odd, or out of balance");
  command
      ->add_option("INPUT", arguments->input,
                   "Config of a run (its data.train and data.eval, with lengths in tokens), or an "
                   "annotation file")
      ->required();
  command->add_option("OVERRIDES", arguments->overrides,
                      "key=value, as in data.video_prefix=videos or model.path=DIR");
  command->add_flag("--json", arguments->json, "Print everything as JSON instead of a summary");
  command->add_option("--num-workers", arguments->num_workers, "Videos read at the same time")
      ->capture_default_str()
      ->transform(whole_number(1, 1024));
  command->callback([arguments] { run(*arguments); });
}

}  // namespace streamo::app
