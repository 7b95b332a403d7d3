// Scores and tables of benchmarks, by their own rules. Free of LibTorch.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "eval/benchmark.h"

namespace streamo::eval {

// Judgements of another model or of people, by the id of an answer or of its question ("1468" for
// "1468/0"): whether the text is right. They stand in for the comparison of texts, not of times.
using Verdicts = std::map<std::string, bool>;

// JSON Lines {"id": .., "right": true|false}. Throws core::Error{kData} naming the line.
// What a judge is to see (question, truth, response) stands in our answer files.
Verdicts read_verdicts(const std::filesystem::path& path);

struct PointScore {
  bool right = false;    // by the benchmark's rule
  bool strict = false;   // the reply says it and nothing else first, see docs/evaluation.md
  bool on_time = false;  // of proactive questions
};

PointScore score_answer(const Answer& answer, const Verdicts& verdicts = {});

struct TaskScore {
  int64_t points = 0, right = 0, strict = 0, on_time = 0, unanswered = 0;
  double accuracy() const { return static_cast<double>(right) / static_cast<double>(points); }
};

struct CategoryScore {
  std::string name;
  std::vector<std::string> tasks;   // in the order of the papers; those without points are absent
  double accuracy = 0, strict = 0;  // OVO-Bench: mean of the tasks; StreamingBench: of the points
};

struct BenchmarkScore {
  std::string benchmark, protocol;
  int64_t repeated = 0;  // answers to a question that has one already: as in the official scripts,
                         // each counts
  std::map<std::string, TaskScore> tasks;
  std::vector<CategoryScore> categories;  // those with points
  // OVO-Bench: mean of the three categories, none while one has no points. StreamingBench: of all
  // points.
  std::optional<double> total, strict_total;
};

// Verdicts of which no answer has the id: most likely of another file.
int64_t unused_verdicts(const std::vector<Answer>& answers, const Verdicts& verdicts);

// One entry for each benchmark and protocol among the answers. Throws core::Error{kUsage} for
// verdicts on answers of several protocols, as an id is one question in each.
std::vector<BenchmarkScore> score_benchmarks(const std::vector<Answer>& answers,
                                             const Verdicts& verdicts = {});

nlohmann::ordered_json to_json(const BenchmarkScore& score);
// As the papers print it, in percent; without a newline at the end.
std::string to_table(const BenchmarkScore& score);

}  // namespace streamo::eval
