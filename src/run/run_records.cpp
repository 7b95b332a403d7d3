// Reads metrics.jsonl, skipped.jsonl and the newest eval-*.json; anything unreadable counts as
// absent.
#include "run/run_records.h"

#include <charconv>
#include <cmath>
#include <sstream>

#include "core/io/file.h"
#include "core/json/json.h"
#include "run/best_model.h"
#include "streamo/core/error.h"

namespace streamo::run {
namespace {

namespace fs = std::filesystem;

constexpr core::JsonRules kRules = {.max_bytes = uint64_t{1} << 30};  // evaluations have every turn

// What is damaged is left out of the report.
Json read_json(const fs::path& path) {
  auto json = core::read_json<Json>(path, kRules);
  return json ? *std::move(json) : Json();
}

std::vector<Json> read_json_lines(const fs::path& path) {
  std::vector<Json> entries;
  if (!fs::exists(path)) return entries;
  std::istringstream lines(core::read_file(path));
  for (std::string line; std::getline(lines, line);) {
    auto entry = core::parse_json<Json>(line);
    if (entry && entry->is_object()) entries.push_back(*std::move(entry));
  }
  return entries;
}

}  // namespace

std::optional<int64_t> step_of_evaluation(const fs::path& path) {
  const std::string name = path.filename().string(), prefix = "eval-", suffix = ".json";
  if (!name.starts_with(prefix) || !name.ends_with(suffix)) return std::nullopt;
  int64_t step = 0;
  const char* end = name.data() + name.size() - suffix.size();
  const auto [stop, error] = std::from_chars(name.data() + prefix.size(), end, step);
  return error == std::errc() && stop == end ? std::optional(step) : std::nullopt;
}

RunRecords read_run_records(const fs::path& run_dir) {
  RunRecords data;
  data.run_name = fs::absolute(run_dir).lexically_normal().filename().string();
  if (data.run_name.empty()) {  // "runs/example/"
    data.run_name = fs::absolute(run_dir).lexically_normal().parent_path().filename().string();
  }
  data.config = read_json(run_dir / "config.json");
  data.best = read_json(BestModel::directory(run_dir) / BestModel::kRecord);
  for (Json& line : read_json_lines(run_dir / "metrics.jsonl")) {
    (line.contains("eval") ? data.evals : data.steps).push_back(std::move(line));
  }
  for (const Json& line : read_json_lines(run_dir / "skipped.jsonl")) {
    data.skipped.emplace_back(text_at(line, "/id"), text_at(line, "/reason"));
  }
  std::error_code ignored;
  fs::path newest;
  for (const auto& entry : fs::directory_iterator(run_dir, ignored)) {
    const auto step = step_of_evaluation(entry.path());
    if (!step || (!newest.empty() && *step < data.eval_step)) continue;
    data.eval_step = *step;
    newest = entry.path();
  }
  if (!newest.empty()) data.eval = read_json(newest);
  if (data.config.is_null() && data.steps.empty() && data.eval.is_null()) {
    throw core::Error(core::ErrorKind::kData, "there is nothing of a run to report",
                      run_dir.string(), "name a run's folder (checkpoint.dir of its config)");
  }
  return data;
}

std::optional<double> number_at(const Json& json, const std::string& pointer) {
  const Json::json_pointer at(pointer);
  if (!json.contains(at) || !json.at(at).is_number()) return std::nullopt;
  const auto number = json.at(at).get<double>();
  return std::isfinite(number) ? std::optional(number) : std::nullopt;
}

std::string text_at(const Json& json, const std::string& pointer) {
  const Json::json_pointer at(pointer);
  return json.contains(at) && json.at(at).is_string() ? json.at(at).get<std::string>() : "";
}

}  // namespace streamo::run
