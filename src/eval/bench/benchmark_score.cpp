// The task lists of both benchmarks and their averages: OVO-Bench averages over tasks,
// StreamingBench over questions.
#include "eval/benchmark_score.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "streamo/core/error.h"

namespace streamo::eval {
namespace {

using Json = nlohmann::ordered_json;

struct TaskName {
  const char *name, *column;  // in annotations; in the papers' tables
};

struct Category {
  const char* name;
  std::vector<TaskName> tasks;
};

const std::vector<Category>& benchmark_categories(const std::string& benchmark) {
  static const std::vector<Category> kOvo = {
      {"Real-Time Visual Perception",
       {{"OCR", "OCR"},
        {"ACR", "ACR"},
        {"ATR", "ATR"},
        {"STU", "STU"},
        {"FPD", "FPD"},
        {"OJR", "OJR"}}},
      {"Backward Tracing", {{"EPM", "EPM"}, {"ASI", "ASI"}, {"HLD", "HLD"}}},
      {"Forward Active Responding", {{"REC", "REC"}, {"SSR", "SSR"}, {"CRR", "CRR"}}}};
  static const std::vector<Category> kStreaming = {{"Real-Time Visual Understanding",
                                                    {{"Object Recognition", "OP"},
                                                     {"Causal Reasoning", "CR"},
                                                     {"Clips Summarize", "CS"},
                                                     {"Attribute Recognition", "ATP"},
                                                     {"Event Understanding", "EU"},
                                                     {"Text-Rich Understanding", "TR"},
                                                     {"Prospective Reasoning", "PR"},
                                                     {"Spatial Understanding", "SU"},
                                                     {"Action Recognition", "ACP"},
                                                     {"Counting", "CT"}}},
                                                   {"Omni-Source Understanding",
                                                    {{"Emotion Recognition", "ER"},
                                                     {"Scene Understanding", "SCU"},
                                                     {"Source Discrimination", "SD"},
                                                     {"Multimodal Alignment", "MA"}}},
                                                   {"Contextual Understanding",
                                                    {{"Anomaly Context Understanding", "ACU"},
                                                     {"Misleading Context Understanding", "MCU"},
                                                     {"Sequential Question Answering", "SQA"},
                                                     {"Proactive Output", "PO"}}}};
  return benchmark == kOvoBench ? kOvo : kStreaming;
}

std::string table_column(const std::string& benchmark, const std::string& task) {
  for (const Category& category : benchmark_categories(benchmark)) {
    for (const TaskName& name : category.tasks) {
      if (task == name.name) return name.column;
    }
  }
  return task;
}

// OVO-Bench: each task counts alike. StreamingBench: each point does.
double mean(const BenchmarkScore& score, const std::vector<std::string>& tasks,
            int64_t TaskScore::*right) {
  double shares = 0, hits = 0, points = 0;
  for (const std::string& name : tasks) {
    const TaskScore& task = score.tasks.at(name);
    hits += static_cast<double>(task.*right);
    points += static_cast<double>(task.points);
    shares += static_cast<double>(task.*right) / static_cast<double>(task.points);
  }
  return score.benchmark == kOvoBench ? shares / static_cast<double>(tasks.size()) : hits / points;
}

void summarise(BenchmarkScore& score) {
  std::vector<std::string> all;
  for (const Category& category : benchmark_categories(score.benchmark)) {
    CategoryScore row{category.name, {}};
    for (const TaskName& task : category.tasks) {
      if (score.tasks.contains(task.name)) row.tasks.emplace_back(task.name);
    }
    if (row.tasks.empty()) continue;
    row.accuracy = mean(score, row.tasks, &TaskScore::right);
    row.strict = mean(score, row.tasks, &TaskScore::strict);
    all.insert(all.end(), row.tasks.begin(), row.tasks.end());
    score.categories.push_back(std::move(row));
  }
  if (score.benchmark == kStreamingBench && !all.empty()) {
    score.total = mean(score, all, &TaskScore::right);
    score.strict_total = mean(score, all, &TaskScore::strict);
  } else if (score.categories.size() == 3) {
    score.total = score.strict_total = 0;
    for (const CategoryScore& category : score.categories) {
      *score.total += category.accuracy / 3;
      *score.strict_total += category.strict / 3;
    }
  }
}

std::string row(const std::string& label, const std::vector<std::string>& cells) {
  std::string text = fmt::format("{:<10}", label);
  for (const std::string& cell : cells) text += fmt::format("{:>7}", cell);
  return text + "\n";
}

std::string percent(double share) {
  return fmt::format("{:.2f}", 100 * share);
}

std::string category_table(const BenchmarkScore& score, const CategoryScore& category) {
  std::vector<std::string> columns, shares, strict, points;
  for (const std::string& name : category.tasks) {
    const TaskScore& task = score.tasks.at(name);
    columns.push_back(table_column(score.benchmark, name));
    shares.push_back(percent(task.accuracy()));
    strict.push_back(percent(static_cast<double>(task.strict) / static_cast<double>(task.points)));
    points.push_back(std::to_string(task.points));
  }
  columns.emplace_back(score.benchmark == kOvoBench ? "Avg." : "All");
  shares.push_back(percent(category.accuracy));
  strict.push_back(percent(category.strict));
  return "\n" + category.name + "\n" + row("", columns) + row("score", shares) +
         row("(strict)", strict) + row("(points)", points);
}

std::string absent_tasks(const BenchmarkScore& score) {
  std::string names;
  for (const Category& category : benchmark_categories(score.benchmark)) {
    for (const TaskName& task : category.tasks) {
      if (score.tasks.contains(task.name)) continue;
      names += (names.empty() ? "" : ", ") + std::string(task.column);
    }
  }
  return names;
}

}  // namespace

std::vector<BenchmarkScore> score_benchmarks(const std::vector<Answer>& answers,
                                             const Verdicts& verdicts) {
  std::map<std::pair<std::string, std::string>, BenchmarkScore> scores;
  std::set<std::string> seen;
  for (const Answer& answer : answers) {
    BenchmarkScore& score = scores[{answer.benchmark, answer.protocol}];
    score.benchmark = answer.benchmark;
    score.protocol = answer.protocol;
    score.repeated += seen.insert(answer_key(answer)).second ? 0 : 1;
    const PointScore point = score_answer(answer, verdicts);
    TaskScore& task = score.tasks[answer.task];
    ++task.points;
    task.right += point.right ? 1 : 0;
    task.strict += point.strict ? 1 : 0;
    task.on_time += point.on_time ? 1 : 0;
    task.unanswered += answer.response ? 0 : 1;
  }
  if (!verdicts.empty() && scores.size() > 1) {
    throw core::Error(core::ErrorKind::kUsage, "verdicts for answers of several protocols",
                      "--verdicts", "an id is one question in each: score one protocol at a time");
  }
  std::vector<BenchmarkScore> result;
  for (auto& [key, score] : scores) {
    summarise(score);
    result.push_back(std::move(score));
  }
  return result;
}

nlohmann::ordered_json to_json(const BenchmarkScore& score) {
  Json tasks = Json::object(), categories = Json::object();
  for (const auto& [name, task] : score.tasks) {
    tasks[name] = {{"points", task.points},
                   {"right", task.right},
                   {"accuracy", task.accuracy()},
                   {"strict", static_cast<double>(task.strict) / static_cast<double>(task.points)},
                   {"unanswered", task.unanswered}};
    if (name == "Proactive Output") {
      tasks[name]["time_accuracy"] =
          static_cast<double>(task.on_time) / static_cast<double>(task.points);
    }
  }
  for (const CategoryScore& category : score.categories) {
    categories[category.name] = {{"accuracy", category.accuracy}, {"strict", category.strict}};
  }
  return {{"benchmark", score.benchmark},
          {"protocol", score.protocol},
          {"repeated", score.repeated},
          {"tasks", std::move(tasks)},
          {"categories", std::move(categories)},
          {"total", score.total ? Json(*score.total) : Json(nullptr)},
          {"strict_total", score.strict_total ? Json(*score.strict_total) : Json(nullptr)}};
}

std::string to_table(const BenchmarkScore& score) {
  int64_t points = 0, unanswered = 0;
  for (const auto& [name, task] : score.tasks) {
    points += task.points;
    unanswered += task.unanswered;
  }
  std::string text = fmt::format("{}, {} protocol: {} points, {} without an answer\n",
                                 score.benchmark, score.protocol, points, unanswered);
  if (score.repeated > 0) {
    text +=
        fmt::format("{} answers to a question that has one already; each counts\n", score.repeated);
  }
  for (const CategoryScore& category : score.categories) text += category_table(score, category);
  if (const std::string absent = absent_tasks(score); !absent.empty()) {
    text += "\nnot among the answers: " + absent + "\n";
  }
  if (const auto proactive = score.tasks.find("Proactive Output"); proactive != score.tasks.end()) {
    text +=
        fmt::format("\nPO time {:>17}\n", percent(static_cast<double>(proactive->second.on_time) /
                                                  static_cast<double>(proactive->second.points)));
  }
  if (score.total) {
    text += fmt::format("\n{:<10}{:>7}  (strict {})\n", "Total", percent(*score.total),
                        percent(*score.strict_total));
  } else {
    text += "\nno total: a category has no points\n";
  }
  text.pop_back();
  return text;
}

}  // namespace streamo::eval
