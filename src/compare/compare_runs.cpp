// Joins two metrics.jsonl files by step, leaving out the fields that depend on the machine, and
// reports the first difference.
#include "compare/compare_runs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

#include "checkpoint/snapshot.h"
#include "compare/compare_checkpoints.h"
#include "core/whole_number.h"
#include "run/run_folder.h"
#include "run/run_records.h"
#include "streamo/core/error.h"

namespace streamo::compare {

using run::Json;
namespace {

namespace fs = std::filesystem;

// Of a line of metrics.jsonl: what depends on the machine, and how far the run is to go.
constexpr std::array<std::string_view, 8> kNotComputed = {
    "total_steps",   "tokens_per_second", "video_seconds_per_second",
    "data_wait",     "peak_memory_bytes", "eta_seconds",
    "train_seconds", "rank_balance"};

run::RunRecords read_run(const fs::path& folder) {
  if (!fs::is_directory(folder)) {
    throw core::Error(core::ErrorKind::kData, "no such run folder", folder.string(),
                      "give the checkpoint.dir of two runs");
  }
  return run::read_run_records(folder);
}

bool same(const Json& first, const Json& second, double tolerance) {
  if (first == second) return true;
  if (!first.is_number() || !second.is_number()) return false;
  const double a = first.get<double>(), b = second.get<double>();
  return std::abs(a - b) <= tolerance * std::max(std::abs(a), std::abs(b));
}

// Whether a key is in one of them only counts, as its value is null in the other.
std::optional<StepDifference> first_difference(const Json& first, const Json& second,
                                               double tolerance, const std::string& within = "") {
  for (const auto& [key, value] : first.items()) {
    if (within.empty() &&
        std::find(kNotComputed.begin(), kNotComputed.end(), key) != kNotComputed.end())
      continue;
    const Json other = second.value(key, Json());
    if (value.is_object() && other.is_object()) {
      if (auto found = first_difference(value, other, tolerance, within + key + "/")) return found;
    } else if (!same(value, other, tolerance)) {
      return StepDifference{.key = within + key, .first = value.dump(), .second = other.dump()};
    }
  }
  return std::nullopt;
}

std::map<int64_t, Json> by_step(const std::vector<Json>& lines) {
  std::map<int64_t, Json> found;
  for (const Json& line : lines) {
    if (const auto step = core::whole_number(line.value("step", Json()))) found[*step] = line;
  }
  return found;
}

// Steps in a few words: "2 steps, 19 to 20".
void list_only_in(const char* run, const std::map<int64_t, Json>& own,
                  const std::map<int64_t, Json>& other, std::vector<std::string>& told) {
  std::vector<int64_t> steps;
  for (const auto& [step, line] : own) {
    if (other.count(step) == 0) steps.push_back(step);
  }
  if (steps.empty()) return;
  told.push_back(fmt::format("only {} has logged {} step{}, {} to {}", run, steps.size(),
                             steps.size() == 1 ? "" : "s", steps.front(), steps.back()));
}

void compare_steps(const run::RunRecords& first, const run::RunRecords& second, double tolerance,
                   RunComparison& comparison) {
  const auto a = by_step(first.steps), b = by_step(second.steps);
  for (const auto& [step, line] : a) {
    const auto other = b.find(step);
    if (other == b.end()) continue;
    ++comparison.steps;
    auto found = first_difference(line, other->second, tolerance);
    if (!found) continue;
    if (!comparison.first_step) {
      found->step = step;
      comparison.first_step = found;
    }
    ++comparison.first_step->differing_steps;
  }
  list_only_in("A", a, b, comparison.only_in_one);
  list_only_in("B", b, a, comparison.only_in_one);
}

constexpr int64_t kFinal = INT64_MAX;  // "after" all checkpoints

// Checkpoints and final model by their step.
std::map<int64_t, fs::path> find_checkpoints(const fs::path& run) {
  std::map<int64_t, fs::path> found;
  for (const auto& entry : fs::directory_iterator(run)) {
    if (const auto step = checkpoint::step_of_checkpoint(entry.path())) found[*step] = entry.path();
  }
  if (const fs::path model = run::RunFolder::final_model(run); fs::exists(model))
    found[kFinal] = model;
  return found;
}

void compare_all_checkpoints(const fs::path& first, const fs::path& second, double tolerance,
                             RunComparison& comparison) {
  const auto a = find_checkpoints(first), b = find_checkpoints(second);
  for (const auto& [step, path] : a) {
    if (b.count(step) > 0) {
      comparison.checkpoints.push_back(compare_checkpoints(path, b.at(step), tolerance));
    } else {
      comparison.only_in_one.push_back("only A has " + path.filename().string());
    }
  }
  for (const auto& [step, path] : b) {
    if (a.count(step) == 0)
      comparison.only_in_one.push_back("only B has " + path.filename().string());
  }
}

std::string describe(const TensorDifference& difference) {
  if (!difference.reason.empty()) return difference.name + ", " + difference.reason;
  return fmt::format("{}, by {:.3g} at most, {:.3g} of its largest number", difference.name,
                     difference.absolute, difference.relative);
}

}  // namespace

bool RunComparison::equal() const {
  return !first_step && std::all_of(checkpoints.begin(), checkpoints.end(),
                                    [](const auto& checkpoint) { return checkpoint.equal(); });
}

RunComparison compare_runs(const fs::path& first, const fs::path& second, double tolerance) {
  const run::RunRecords a = read_run(first), b = read_run(second);
  RunComparison comparison;
  if (a.config.is_object() && b.config.is_object())
    comparison.settings = run::differences(a.config, b.config);
  compare_steps(a, b, tolerance, comparison);
  compare_all_checkpoints(first, second, tolerance, comparison);
  if (comparison.steps == 0 && comparison.checkpoints.empty()) {
    throw core::Error(core::ErrorKind::kData,
                      "the two runs have no step and no checkpoint in common",
                      first.string() + " and " + second.string(),
                      "log.every_steps and checkpoint.every_steps must let them meet");
  }
  return comparison;
}

std::string describe(const RunComparison& comparison) {
  std::string text;
  const auto line = [&text](const std::string& words) { text += words + "\n"; };
  for (const std::string& setting : comparison.settings) line("setting      " + setting);
  for (const std::string& told : comparison.only_in_one) line("not compared " + told);
  if (const auto& step = comparison.first_step) {
    line(fmt::format("steps        {} of {} differ, first step {}: {} is {} in A, {} in B",
                     step->differing_steps, comparison.steps, step->step, step->key, step->first,
                     step->second));
  } else {
    line(fmt::format("steps        {}, all equal", comparison.steps));
  }
  for (const CheckpointComparison& checkpoint : comparison.checkpoints) {
    if (checkpoint.equal()) {
      line(fmt::format("{:12} {} tensors, all equal", checkpoint.name, checkpoint.tensors));
      continue;
    }
    line(fmt::format("{:12} {} of {} tensors differ", checkpoint.name, checkpoint.differing,
                     checkpoint.tensors));
    if (checkpoint.first) line("  first      " + describe(*checkpoint.first));
    if (checkpoint.worst && checkpoint.differing > 1)
      line("  most       " + describe(*checkpoint.worst));
    for (const std::string& state : checkpoint.state) line("  state      " + state);
  }
  line(comparison.equal() ? "equal" : "different");
  return text;
}

}  // namespace streamo::compare
