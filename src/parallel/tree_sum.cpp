// The order in which numbers of the ranks are added: the same on every rank and every time.
#include "parallel/tree_sum.h"

#include <ATen/ATen.h>

#include <utility>
#include <vector>

namespace streamo::parallel {

using at::Tensor;

Tensor tree_sum(const Tensor& parts) {
  std::vector<Tensor> rows =
      (parts.scalar_type() == at::kBFloat16 ? parts.to(at::kFloat) : parts).unbind(0);
  while (rows.size() > 1) {
    std::vector<Tensor> sums;
    for (size_t i = 0; i < rows.size(); i += 2) {
      sums.push_back(i + 1 < rows.size() ? rows[i] + rows[i + 1] : rows[i]);
    }
    rows = std::move(sums);
  }
  return rows[0];
}

}  // namespace streamo::parallel
