// Which predicted response is meant for which true one.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "eval/timeline.h"

namespace streamo::eval {

struct ResponsePair {
  size_t truth, predicted;  // turns
  double distance;          // seconds, without sign
};

// Turns of the true and of the predicted responses.
std::vector<size_t> true_responses(const Timeline& timeline);
std::vector<size_t> predicted_responses(const Timeline& timeline);

// One to one, nearest first (of equals the earlier truth, then the earlier prediction), up to
// `window` seconds apart; in the order of the truth. Both lists ascending.
std::vector<ResponsePair> pair_responses(std::span<const size_t> truth,
                                         std::span<const size_t> predicted, double fps,
                                         double window);

}  // namespace streamo::eval
