// The numbers of one evaluation as cards of the report.
#pragma once

#include <string>

#include "train/report_data.h"

namespace streamo::train {

// `eval` as eval-<step>.json has it; what is missing in it is left out. "" when nothing is there.
std::string evaluation_cards(const Json& eval);

}  // namespace streamo::train
