// By which number of an evaluation models are told apart.
#pragma once

#include <string>
#include <vector>

namespace streamo::eval {

// What eval.best_metric may be: keys of `eval --json`, nested ones as "responses.within_1s.f1".
std::vector<std::string> best_metric_names();

// Whether `now` beats `before`: of errors and delays the smaller is better. `metric`: one of these.
bool is_better(const std::string& metric, double now, double before);

}  // namespace streamo::eval
