// One evaluated sample as a strip of turns: what was true above, what the model did below.
#pragma once

#include <string>

#include "run/run_records.h"

namespace streamo::report {

// A card of one timeline (eval::to_json), with at most `most_lines` questions and answers. Where no
// turn has a truth, only what the model did is shown.
std::string timeline_card(const nlohmann::ordered_json& timeline, size_t most_lines);

// Cards of up to `count` samples, taken from the tasks in turn. "" without timelines.
std::string timeline_cards(const nlohmann::ordered_json& eval, size_t count);

}  // namespace streamo::report
