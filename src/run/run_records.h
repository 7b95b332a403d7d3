// What a run's folder says, read so that nothing missing or damaged can stop a report.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace streamo::run {

using Json = nlohmann::ordered_json;

struct RunRecords {
  std::string run_name;
  Json config, eval, best;         // null when absent; best: best/best.json
  int64_t eval_step = 0;           // of `eval`
  std::vector<Json> steps, evals;  // the two kinds of lines of metrics.jsonl
  std::vector<std::pair<std::string, std::string>> skipped;  // id, reason
};

// Throws core::Error{kData} when `run_dir` holds nothing to report.
RunRecords read_run_records(const std::filesystem::path& run_dir);

// The step of a path `eval-<step>.json`, nullopt for any other name.
std::optional<int64_t> step_of_evaluation(const std::filesystem::path& path);

// The entry at a JSON pointer ("/a/b"), when it is there and of that type (and finite).
std::optional<double> number_at(const Json& json, const std::string& pointer);
std::string text_at(const Json& json, const std::string& pointer);  // "" when absent

}  // namespace streamo::run
