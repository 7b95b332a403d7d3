// streamo bench: published benchmarks, played to a model and scored by their own rules.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "app/command.h"
#include "streamo/core/error.h"
#include "streamo/eval/benchmark_score.h"

namespace streamo::app {
namespace {

struct ScoreArguments {
  std::vector<std::string> files;
  std::string verdicts, name;
  bool json = false;
};

void print_scores(const std::vector<eval::Answer>& answers, const eval::Verdicts& verdicts,
                  bool json) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  std::string text;
  for (const eval::BenchmarkScore& score : eval::score_benchmarks(answers, verdicts)) {
    all.push_back(eval::to_json(score));
    text += (text.empty() ? "" : "\n\n") + eval::to_table(score);
  }
  fmt::print("{}\n", json ? all.dump(2) : text);
}

void score(const ScoreArguments& arguments) {
  std::vector<eval::Answer> answers;
  for (const std::string& file : arguments.files) {
    for (eval::Answer& answer : eval::read_answers(file, arguments.name)) {
      answers.push_back(std::move(answer));
    }
  }
  if (answers.empty()) {
    throw core::Error(core::ErrorKind::kData, "no answers", arguments.files[0],
                      "a name of another model in the file? give --name");
  }
  print_scores(
      answers,
      arguments.verdicts.empty() ? eval::Verdicts{} : eval::read_verdicts(arguments.verdicts),
      arguments.json);
}

void add_score_subcommand(CLI::App& bench) {
  auto arguments = std::make_shared<ScoreArguments>();
  CLI::App* command = bench.add_subcommand("score", "Score result files, ours or others'");
  command->add_option("FILE", arguments->files, "Result files in any of the published formats")
      ->required();
  command->add_option("--verdicts", arguments->verdicts,
                      "JSON Lines {id, right} of a judge, instead of comparing texts");
  command->add_option("--name", arguments->name,
                      "Name of the model in StreamingBench's result files");
  command->add_flag("--json", arguments->json, "Print JSON instead of tables");
  command->callback([arguments] { score(*arguments); });
}

}  // namespace

void add_bench_command(CLI::App& app) {
  CLI::App* bench = app.add_subcommand("bench", "OVO-Bench and StreamingBench: play and score");
  bench->require_subcommand(1);
  add_score_subcommand(*bench);
}

}  // namespace streamo::app
