// One evaluated sample as a strip of turns: what was true above, what the model did below.
#pragma once

#include <string>

#include "train/report_data.h"

namespace streamo::train {

// Cards of up to `count` samples, taken from the tasks in turn. "" without timelines.
std::string timeline_cards(const Json& eval, size_t count);

}  // namespace streamo::train
