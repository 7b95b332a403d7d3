// Copies tensors into and out of flat messages (buckets), with each rank's part padded to whole
// granules so that all parts have one length.
#include "parallel/flat_shards.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "streamo/core/error.h"

namespace streamo::parallel {

using at::Tensor;

FlatShards::FlatShards(ShardGroups groups, std::vector<int64_t> numels, int64_t bucket_numel)
    : groups_(std::move(groups)), numels_(std::move(numels)) {
  const int size = ranks().size();
  for (size_t i = 0; i < numels_.size(); ++i) {
    const int64_t granules = (numels_[i] + kGranule - 1) / kGranule;
    parts_.push_back((granules + size - 1) / size * kGranule);
    if (buckets_.empty() || (buckets_.back().row + parts_[i]) * size > bucket_numel)
      buckets_.push_back({i, i, 0});
    buckets_.back().last = i + 1;
    buckets_.back().row += parts_[i];
  }
}

FlatShards::Range FlatShards::own(size_t i) const {
  const auto border = [&](int64_t rank) { return std::min(rank * parts_[i], numels_[i]); };
  return {border(ranks().rank()), border(ranks().rank() + 1)};
}

Ranks::Pending FlatShards::send_values(const Bucket& bucket, std::vector<Tensor>& values,
                                       at::ScalarType traffic) {
  const Tensor rows = at::zeros({ranks().size(), bucket.row}, traffic);
  int64_t column = 0;
  for (size_t i = bucket.first; i < bucket.last; column += parts_[i++]) {
    if (!values[i].defined()) continue;
    for (int64_t begin = 0, rank = 0; begin < numels_[i]; begin += parts_[i], ++rank) {
      const int64_t count = std::min(parts_[i], numels_[i] - begin);
      rows[rank].narrow(0, column, count).copy_(values[i].narrow(0, begin, count));
    }
    values[i].reset();
  }
  return ranks().start_reduce_scatter(rows);
}

void FlatShards::receive_sums(const Bucket& bucket, const Tensor& of_group,
                              std::vector<Tensor>& sums) const {
  const Tensor sum = groups_.across->all_reduce(of_group);
  int64_t column = 0;
  for (size_t i = bucket.first; i < bucket.last; column += parts_[i++])
    sums[i] = sum.narrow(0, column, own(i).size());
}

Ranks::Pending FlatShards::send_parts(const Bucket& bucket,
                                      const std::vector<Tensor>& own_parts) const {
  const Tensor row = at::zeros({bucket.row}, own_parts[bucket.first].options());
  int64_t column = 0;
  for (size_t i = bucket.first; i < bucket.last; column += parts_[i++])
    row.narrow(0, column, own(i).size()).copy_(own_parts[i]);
  return ranks().start_all_gather(row);
}

void FlatShards::receive_parts(const Bucket& bucket, const Tensor& rows,
                               const std::vector<Tensor>& whole) const {
  int64_t column = 0;
  for (size_t i = bucket.first; i < bucket.last; column += parts_[i++]) {
    if (!whole[i].defined()) continue;
    for (int64_t begin = 0, rank = 0; begin < numels_[i]; begin += parts_[i], ++rank) {
      const int64_t count = std::min(parts_[i], numels_[i] - begin);
      whole[i].narrow(0, begin, count).copy_(rows[rank].narrow(0, column, count));
    }
  }
}

std::vector<Tensor> FlatShards::reduce_scatter(std::vector<Tensor> values, at::ScalarType traffic) {
  STREAMO_CHECK(values.size() == size(), "one value a tensor");
  std::vector<Tensor> sums(size());
  for (const Bucket& bucket : buckets_)
    receive_sums(bucket, send_values(bucket, values, traffic).wait(), sums);
  return sums;
}

void FlatShards::all_gather(const std::vector<Tensor>& own_parts,
                            const std::vector<Tensor>& whole) const {
  STREAMO_CHECK(own_parts.size() == size() && whole.size() == size(), "one part a tensor");
  for (const Bucket& bucket : buckets_)
    receive_parts(bucket, send_parts(bucket, own_parts).wait(), whole);
}

FlatShards::Pending FlatShards::start_reduce_scatter(std::vector<Tensor> values,
                                                     at::ScalarType traffic) {
  STREAMO_CHECK(values.size() == size(), "one value a tensor");
  Pending pending;
  for (const Bucket& bucket : buckets_) pending.push_back(send_values(bucket, values, traffic));
  return pending;
}

std::vector<Tensor> FlatShards::finish_reduce_scatter(Pending pending) const {
  std::vector<Tensor> sums(size());
  for (size_t i = 0; i < buckets_.size(); ++i) receive_sums(buckets_[i], pending[i].wait(), sums);
  return sums;
}

FlatShards::Pending FlatShards::start_all_gather(const std::vector<Tensor>& own_parts) {
  STREAMO_CHECK(own_parts.size() == size(), "one part a tensor");
  Pending pending;
  for (const Bucket& bucket : buckets_) pending.push_back(send_parts(bucket, own_parts));
  return pending;
}

void FlatShards::finish_all_gather(Pending pending, const std::vector<Tensor>& whole) const {
  STREAMO_CHECK(whole.size() == size(), "one place a tensor");
  for (size_t i = 0; i < buckets_.size(); ++i) receive_parts(buckets_[i], pending[i].wait(), whole);
}

}  // namespace streamo::parallel
