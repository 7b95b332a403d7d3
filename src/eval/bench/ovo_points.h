// The test points of OVO-Bench's forward tasks.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace streamo::eval {

bool is_forward_task(const std::string& task);  // REC, SSR, CRR

// What is right at an entry of test_info: a count, or Yes/No.
std::string forward_truth(const std::string& task, const nlohmann::json& point);

}  // namespace streamo::eval
