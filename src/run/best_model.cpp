// Keeps the record of the best value in best/, and ignores one that is newer than the checkpoint
// the run resumes from.
#include "run/best_model.h"

#include <algorithm>

#include "core/json/json.h"
#include "eval/best_metric.h"
#include "run/run_records.h"
#include "streamo/core/error.h"

namespace streamo::run {
namespace {

std::string pointer_to(std::string metric) {
  std::replace(metric.begin(), metric.end(), '.', '/');
  return "/" + metric;
}

// Null where there is none.
Json read_record(const std::filesystem::path& run) {
  const std::filesystem::path path = BestModel::directory(run) / BestModel::kRecord;
  if (!std::filesystem::exists(path)) return {};
  const auto read = core::read_json<Json>(path);
  return read ? *read : Json();  // damaged: as if there were none
}

}  // namespace

std::optional<int64_t> BestModel::best_step(const std::filesystem::path& run) {
  const auto step = number_at(read_record(run), "/step");
  return step ? std::optional(static_cast<int64_t>(*step)) : std::nullopt;
}

BestModel::BestModel(const std::filesystem::path& run, std::string metric, int64_t resume_step)
    : metric_(std::move(metric)) {
  const Json record = read_record(run);
  const auto step = number_at(record, "/step"), value = number_at(record, "/value");
  if (!step || *step > static_cast<double>(resume_step)) return;
  if (text_at(record, "/metric") == metric_) value_ = value;
}

std::optional<nlohmann::ordered_json> BestModel::improvement(int64_t step,
                                                             const nlohmann::ordered_json& eval) {
  if (metric_.empty()) return std::nullopt;
  const auto value = number_at(eval, pointer_to(metric_));
  if (!value || (value_ && !eval::is_better(metric_, *value, *value_))) return std::nullopt;
  value_ = value;
  return nlohmann::ordered_json{{"step", step}, {"metric", metric_}, {"value", *value}};
}

}  // namespace streamo::run
