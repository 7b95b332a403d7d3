// Norms over ranks: one number a rank, or a number for each granule of the shards.
#include "parallel/gradient_norm.h"

#include <ATen/ops/_foreach_norm.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace streamo::parallel {
namespace {

using torch::Tensor;

// A granule is on one rank, however many there are: what is added up inside it comes out the same.
constexpr int64_t kBlock = FlatShards::kGranule;

// Sums of squares of each kBlock numbers in double, the last block filled with zeros: [blocks]. By
// halves, since the order of a library's sum depends on the shape.
Tensor block_squares(const Tensor& values) {
  const int64_t blocks = (values.numel() + kBlock - 1) / kBlock;
  const Tensor sums = torch::empty({blocks}, torch::kDouble);
  constexpr int64_t kBlocksAtOnce = 4096;  // bounds the copy in double
  for (int64_t first = 0; first < blocks; first += kBlocksAtOnce) {
    const int64_t count = std::min(kBlocksAtOnce, blocks - first);
    const int64_t numel = std::min(count * kBlock, values.numel() - first * kBlock);
    Tensor squares = torch::zeros({count * kBlock}, torch::kDouble);
    squares.narrow(0, 0, numel).copy_(values.narrow(0, first * kBlock, numel));
    squares = squares.square_().view({count, kBlock});
    for (int64_t half = kBlock / 2; half > 0; half /= 2)
      squares = squares.narrow(1, 0, half) + squares.narrow(1, half, half);
    sums.narrow(0, first, count).copy_(squares.squeeze(1));
  }
  return sums;
}

}  // namespace

double grad_norm(const std::vector<Tensor>& owned, const FlatShards& shards) {
  std::vector<Tensor> here;
  for (const Tensor& shard : owned) {
    if (shard.defined() && shard.numel() > 0) here.push_back(shard);
  }
  const double norm =
      here.empty() ? 0.0 : torch::stack(at::_foreach_norm(here, 2)).norm().item<double>();
  return std::sqrt(shards.ranks().sum(norm * norm));  // of one rank: exact, the norm has 24 bits
}

double grad_norm_in_fixed_order(const std::vector<Tensor>& owned, const FlatShards& shards) {
  std::vector<int64_t> counts;  // blocks of a shard, on every rank
  for (size_t i = 0; i < owned.size(); ++i) counts.push_back(shards.part(i) / kBlock);
  // What fills up the last shards is zero, and adding zero changes nothing.
  const Tensor own =
      torch::zeros({std::accumulate(counts.begin(), counts.end(), int64_t{0})}, torch::kDouble);
  int64_t column = 0;
  for (size_t i = 0; i < owned.size(); column += counts[i++]) {
    if (!owned[i].defined()) continue;
    const Tensor squares = block_squares(owned[i]);
    own.narrow(0, column, squares.numel()).copy_(squares);
  }
  const Tensor all = shards.ranks().all_gather(own);
  const auto squares = all.accessor<double, 2>();
  double sum = 0.0;
  column = 0;
  for (const int64_t count : counts) {  // the blocks of a parameter in the order of its numbers
    for (int rank = 0; rank < shards.ranks().size(); ++rank) {
      for (int64_t block = 0; block < count; ++block) sum += squares[rank][column + block];
    }
    column += count;
  }
  return std::sqrt(sum);
}

}  // namespace streamo::parallel
