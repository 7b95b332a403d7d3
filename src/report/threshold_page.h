// The operating curve as a page: self-contained, like report.html.
#pragma once

#include <optional>
#include <string>

#include "eval/thresholds.h"

namespace streamo::report {

// `title`: of the evaluation. With `wanted_rate` (false alarms a minute) that point is marked.
std::string threshold_page(const eval::OperatingCurve& curve, const std::string& title,
                           const std::optional<double>& wanted_rate);

}  // namespace streamo::report
