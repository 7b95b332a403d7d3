// streamo benchmark run|score: published benchmarks, played to a model and scored by their rules.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/command.h"
#include "app/number_option.h"
#include "core/io/output.h"
#include "core/json/dump_json.h"
#include "core/log.h"
#include "core/print.h"
#include "eval/benchmark_runner.h"
#include "eval/benchmark_score.h"
#include "model/hf_directory.h"
#include "streamo/core/error.h"
#include "streamo/stream/model_bundle.h"
#include "video/cache/frame_cache.h"

namespace streamo::app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Arguments {
  std::vector<std::string> files, tasks;
  std::string model, videos, out, protocol = eval::kOfficial, frame_cache, verdicts, name;
  double context = 0;
  bool json = false;
};

std::vector<eval::BenchmarkScore> score(const std::vector<std::string>& files,
                                        const Arguments& arguments) {
  std::vector<eval::Answer> answers;
  for (const std::string& file : files) {
    for (eval::Answer& answer : eval::read_answers(file, arguments.name)) {
      answers.push_back(std::move(answer));
    }
  }
  if (answers.empty()) {
    throw core::Error(core::ErrorKind::kData, "no answers", files[0],
                      "a name of another model in the file? give --name");
  }
  eval::Verdicts verdicts;
  if (!arguments.verdicts.empty()) verdicts = eval::read_verdicts(arguments.verdicts);
  if (const int64_t unused = eval::unused_verdicts(answers, verdicts); unused > 0) {
    core::log_warning("{}: {} of {} verdicts are on no answer here", arguments.verdicts, unused,
                      verdicts.size());
  }
  return eval::score_benchmarks(answers, verdicts);
}

Json scores_json(const std::vector<eval::BenchmarkScore>& scores) {
  Json all = Json::array();
  for (const eval::BenchmarkScore& score : scores) all.push_back(eval::to_json(score));
  return all;
}

std::string scores_table(const std::vector<eval::BenchmarkScore>& scores) {
  std::string text;
  for (const eval::BenchmarkScore& score : scores) {
    text += (text.empty() ? "" : "\n\n") + eval::to_table(score);
  }
  return text;
}

// What the official protocol asks at a cut is asked of all the video before, so all of it is held.
void warn_of_long_cuts(const std::vector<eval::Episode>& plays) {
  constexpr double kLong = 3600;
  double longest = 0;
  for (const eval::Episode& play : plays) {
    if (play.kind == eval::Episode::Kind::kAnswerAtEnd || play.kind == eval::Episode::Kind::kPoll)
      longest = std::max(longest, play.end - play.from);
  }
  if (longest <= kLong) return;
  core::log_warning(
      "{:.0f} s of video stand before a question, and the cache holds them all "
      "(docs/evaluation.md); --context limits them",
      longest);
}

std::shared_ptr<video::FrameCache> open_frame_cache(const Arguments& arguments) {
  constexpr int64_t kMaxBytes = 1'000'000'000'000;  // as a run's cache has by default
  if (arguments.frame_cache.empty()) return nullptr;
  return std::make_shared<video::FrameCache>(
      video::FrameCacheOptions{.folder = arguments.frame_cache, .max_bytes = kMaxBytes});
}

eval::BenchmarkRun play(const Arguments& arguments) {
  std::vector<fs::path> inputs = {arguments.verdicts};
  inputs.insert(inputs.end(), arguments.files.begin(), arguments.files.end());
  const fs::path out = core::output_file(arguments.out, inputs, core::holds_mark("\"benchmark\":"));
  eval::LoadOptions load{
      arguments.protocol, {arguments.tasks.begin(), arguments.tasks.end()}, arguments.context};
  std::vector<eval::Episode> plays;
  for (const std::string& file : arguments.files) {
    for (eval::Episode& play : eval::load_benchmark(file, load)) plays.push_back(std::move(play));
  }
  warn_of_long_cuts(plays);
  model::require_model_directory(arguments.model, "check --model");
  const auto bundle = stream::ModelBundle::open(arguments.model);
  std::unique_ptr<core::ProgressBar> bar;
  int64_t shown = 0;
  eval::BenchmarkOptions options;
  options.video = bundle.sample_options();
  options.system_prompt = bundle.settings.system_prompt;
  options.frame_cache = open_frame_cache(arguments);
  options.model_name = arguments.model;
  options.context = arguments.context;
  options.progress = [&](int64_t done, int64_t total) {
    if (!bar) bar = std::make_unique<core::ProgressBar>("playing", total);
    bar->advance(done - shown);
    shown = done;
  };
  const data::VideoRoot videos(arguments.videos, /*allow_outside=*/false, ".");
  return eval::run_benchmark(*bundle.model, bundle.format, std::move(plays), videos, out, options);
}

// What was not played, before the scores that leave it out.
std::string describe(const eval::BenchmarkRun& run) {
  int64_t points = 0;
  for (const eval::UnplayedVideo& video : run.unplayed) {
    core::log_warning("{}: not played ({} of its points), {}", video.video, video.points,
                      video.reason);
    points += video.points;
  }
  std::string text;
  if (run.answered_before > 0) {
    text += fmt::format("{} of {} points were answered before\n", run.answered_before, run.points);
  }
  if (points > 0) {
    text += fmt::format(
        "{} of {} points are not in these scores: their videos are missing or unreadable, listed "
        "above\n",
        points, run.points);
  }
  return text;
}

void run(const Arguments& arguments) {
  const eval::BenchmarkRun run = play(arguments);
  const std::string notes = describe(run);
  const auto scores = score({arguments.out}, arguments);
  if (!arguments.json) {
    core::print_result("{}{}\n", notes, scores_table(scores));
    return;
  }
  Json unplayed = Json::array();
  for (const eval::UnplayedVideo& video : run.unplayed) {
    unplayed.push_back(
        {{"video", video.video}, {"points", video.points}, {"reason", video.reason}});
  }
  const Json result = {{"points", run.points},
                       {"answered_before", run.answered_before},
                       {"unplayed", std::move(unplayed)},
                       {"scores", scores_json(scores)}};
  core::print_result("{}\n", core::dump_json(result, 2));
}

void add_score_options(CLI::App& command, Arguments& arguments) {
  command.add_option("--verdicts", arguments.verdicts,
                     "JSON Lines {id, right} of a judge, instead of comparing texts");
  command.add_flag("--json", arguments.json, "Print JSON instead of tables");
}

void add_run_subcommand(CLI::App& benchmark) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = benchmark.add_subcommand("run", "Play annotation files to a model and score");
  command->add_option("FILE", arguments->files, "ovo_bench_new.json or questions_*.json")
      ->required();
  command->add_option("--model", arguments->model, "Model directory")->required();
  command->add_option("--videos", arguments->videos, "Folder of the video paths in the file")
      ->required();
  command
      ->add_option("--out", arguments->out,
                   "Answer file, a JSON line each; what it holds is not played again")
      ->required();
  command
      ->add_option("--protocol", arguments->protocol,
                   "official: cut at the question and answered there; streamo: the model watches "
                   "and decides when to answer")
      ->check(CLI::IsMember({eval::kOfficial, eval::kStreamo}))
      ->capture_default_str();
  command->add_option("--tasks", arguments->tasks, "Only these tasks: EPM,ASI")->delimiter(',');
  command
      ->add_option("--context", arguments->context,
                   "Seconds of video before a question (StreamingBench's main table: 60; default "
                   "0: all)")
      ->transform(number(0, kMaxCount));
  command->add_option("--frame-cache", arguments->frame_cache,
                      "Folder that keeps the sampled pictures for later runs");
  add_score_options(*command, *arguments);
  command->callback([arguments] { run(*arguments); });
}

void add_score_subcommand(CLI::App& benchmark) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = benchmark.add_subcommand("score", "Score result files, ours or others'");
  command->add_option("FILE", arguments->files, "Result files in any of the published formats")
      ->required();
  command->add_option("--name", arguments->name,
                      "Name of the model in StreamingBench's result files");
  add_score_options(*command, *arguments);
  command->callback([arguments] {
    const auto scores = score(arguments->files, *arguments);
    core::print_result(
        "{}\n", arguments->json ? core::dump_json(scores_json(scores), 2) : scores_table(scores));
  });
}

}  // namespace

void add_benchmark_command(CLI::App& app) {
  CLI::App* benchmark =
      app.add_subcommand("benchmark", "OVO-Bench and StreamingBench: play and score");
  benchmark->require_subcommand(1);
  add_run_subcommand(*benchmark);
  add_score_subcommand(*benchmark);
}

}  // namespace streamo::app
