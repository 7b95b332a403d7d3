#include "train/best_model.h"

#include <algorithm>
#include <array>

#include "streamo/core/error.h"
#include "streamo/core/json.h"
#include "train/report_data.h"

namespace streamo::train {
namespace {

struct Metric {
  const char* name;
  bool larger_is_better;
};

constexpr std::array<Metric, 11> kMetrics = {{{"macro_f1", true},
                                              {"responses.within_1s.f1", true},
                                              {"responses.within_2s.f1", true},
                                              {"responses.within_5s.f1", true},
                                              {"response_timing.within_1s", true},
                                              {"response_timing.median", false},
                                              {"answer_exact_match", true},
                                              {"answer_token_f1", true},
                                              {"grounding.mean_iou", true},
                                              {"calibration.ece", false},
                                              {"false_responses_per_minute", false}}};

std::string pointer_to(std::string metric) {
  std::replace(metric.begin(), metric.end(), '.', '/');
  return "/" + metric;
}

bool better(const std::string& metric, double now, double before) {
  const auto* found = std::find_if(kMetrics.begin(), kMetrics.end(),
                                   [&](const Metric& known) { return metric == known.name; });
  STREAMO_CHECK(found != kMetrics.end(), "the schema lets only known metrics through");
  return found->larger_is_better ? now > before : now < before;
}

// Null where there is none.
Json read_record(const std::filesystem::path& run) {
  const std::filesystem::path path = BestModel::directory(run) / BestModel::kRecord;
  if (!std::filesystem::exists(path)) return {};
  const auto read = core::read_json<Json>(path);
  return read ? *read : Json();  // damaged: as if there were none
}

}  // namespace

std::vector<std::string> best_metric_names() {
  std::vector<std::string> names;
  for (const Metric& metric : kMetrics) names.emplace_back(metric.name);
  return names;
}

std::optional<int64_t> BestModel::step_of(const std::filesystem::path& run) {
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
  if (!value || (value_ && !better(metric_, *value, *value_))) return std::nullopt;
  value_ = value;
  return nlohmann::ordered_json{{"step", step}, {"metric", metric_}, {"value", *value}};
}

}  // namespace streamo::train
