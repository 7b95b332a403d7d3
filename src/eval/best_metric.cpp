// The table of metrics a model can be selected by, and which direction is better.
#include "eval/best_metric.h"

#include <algorithm>
#include <array>

#include "streamo/core/error.h"

namespace streamo::eval {
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

}  // namespace

std::vector<std::string> best_metric_names() {
  std::vector<std::string> names;
  for (const Metric& metric : kMetrics) names.emplace_back(metric.name);
  return names;
}

bool is_better(const std::string& metric, double now, double before) {
  const auto* found = std::find_if(kMetrics.begin(), kMetrics.end(),
                                   [&](const Metric& known) { return metric == known.name; });
  STREAMO_CHECK(found != kMetrics.end(), "the schema lets only known metrics through");
  return found->larger_is_better ? now > before : now < before;
}

}  // namespace streamo::eval
