// The numbers of one evaluation as cards of the report.
#pragma once

#include <string>

#include "run/run_records.h"

namespace streamo::report {

// `eval` as eval-<step>.json has it; what is missing in it is left out. "" when nothing is there.
std::string evaluation_cards(const nlohmann::ordered_json& eval);

}  // namespace streamo::report
