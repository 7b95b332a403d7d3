// Stretches of time that a model, or the annotation, marks by standby.
#pragma once

#include <cstddef>
#include <vector>

#include "eval/timeline.h"

namespace streamo::eval {

struct TurnSpan {
  size_t begin, end;  // turns; end exclusive
};

// The longest stretches of standby, in order.
std::vector<TurnSpan> standby_spans(const Timeline& timeline, text::State TurnOutcome::*state);

// Intersection over union of two stretches of time.
double intersection_over_union(const TurnSpan& a, const TurnSpan& b);

// For each true span the IoU with its predicted partner, 0 without one. Partners are one to one,
// the largest IoU first (of equals the earlier truth, then the earlier prediction).
std::vector<double> span_ious(const std::vector<TurnSpan>& truth,
                              const std::vector<TurnSpan>& predicted);

}  // namespace streamo::eval
