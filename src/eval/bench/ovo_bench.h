// OVO-Bench: its entries as plays, and the test points of its forward tasks.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "eval/benchmark.h"

namespace streamo::eval {

bool is_forward_task(const std::string& task);  // REC, SSR, CRR

// What is right at an entry of test_info: a count, or Yes/No.
std::string forward_truth(const std::string& task, const nlohmann::json& point);

// Appends the plays of one entry of ovo_bench_new.json. Throws std::exception about what is not as
// published.
void add_ovo_plays(const nlohmann::json& entry, const LoadOptions& options,
                   std::vector<Episode>& plays);

}  // namespace streamo::eval
