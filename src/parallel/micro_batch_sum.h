// The gradients of a step's micro-batches, summed as they come.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace streamo::parallel {

enum class SumOrder {
  // ((0 + 1) + 2) + ...: the cheapest. How it rounds depends on the number of ranks.
  kSequential,
  // ((0 + 1) + (2 + 3)) + ...: the bracketing depends on the number of summands alone. A rank with
  // 2^m micro-batches makes a whole subtree of what one rank would make of all of them, so that
  // the sum over ranks continues it and rounds the same. Costs a copy of the gradients a level.
  kTree,
};

class MicroBatchSum {
 public:
  explicit MicroBatchSum(SumOrder order) : order_(order) {}

  // The next summand: one tensor a parameter, undefined for none. Its tensors are this object's
  // from here on, and are added to in place.
  void add(std::vector<torch::Tensor> gradients);
  // The sum of all of them, empty when there were none. Begins anew.
  std::vector<torch::Tensor> take();

 private:
  struct Subtree {
    int64_t level = 0;  // a sum of 2^level micro-batches
    std::vector<torch::Tensor> sum;
  };
  void merge_last_two();

  SumOrder order_;
  // Their levels fall: at most one a level, as the bits of a counter.
  std::vector<Subtree> subtrees_;
};

}  // namespace streamo::parallel
