#pragma once

#include <string_view>

namespace streamo::train {

// The style sheet of the report. Colours are variables with a light and a dark value; the states
// keep theirs through the whole page.
extern const std::string_view kReportStyle;

}  // namespace streamo::train
