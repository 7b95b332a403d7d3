// Tensors cut into one part a rank, and what the ranks exchange to sum or to complete them.
//
// Each tensor is taken as one row of numbers and cut into as many equal parts as there are ranks;
// the borders are multiples of kGranule, so the last parts may be shorter or empty. Sums and
// completions go by buckets: several tensors in one collective, so that few large messages are
// sent, and no more than a bucket is ever held twice.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "parallel/ranks.h"

namespace streamo::parallel {

class FlatShards {
 public:
  // Numbers between two borders: whole lanes of every vector unit, so that an update of a part
  // rounds as the update of the whole tensor does.
  static constexpr int64_t kGranule = 1024;

  // Numbers of a bucket: some large messages; or all in one.
  static constexpr int64_t kBucketNumel = 16 << 20;
  static constexpr int64_t kOneBucket = std::numeric_limits<int64_t>::max();

  struct Range {
    int64_t begin = 0, end = 0;
    int64_t size() const { return end - begin; }
  };

  // Cut inside a group of ranks, summed over all groups. numels[i]: of tensor i. A bucket has at
  // least one tensor.
  FlatShards(ShardGroups groups, std::vector<int64_t> numels, int64_t bucket_numel = kBucketNumel);

  size_t size() const { return numels_.size(); }
  // The group inside which tensors are cut.
  Ranks& ranks() const { return *groups_.inside; }
  // The part of tensor i that belongs to this rank.
  Range own(size_t i) const;
  // Length of every rank's part of tensor i before the last ones are shortened; a multiple of
  // kGranule.
  int64_t part(size_t i) const { return parts_[i]; }

  // Collective. values[i]: [numel], or undefined on a rank that has nothing to add; released as
  // soon as it was sent. Sent as `traffic`, summed in fp32 in the tree of Ranks (of a group's
  // ranks, then of the groups, between which fp32 is sent). Returns the sums of this rank's parts,
  // fp32 [own(i).size()].
  std::vector<at::Tensor> reduce_scatter(std::vector<at::Tensor> values, at::ScalarType traffic);
  // Collective in the group. own[i]: [own(i).size()], of one type -> whole[i] [numel], where
  // defined; in host memory too.
  void all_gather(const std::vector<at::Tensor>& own, const std::vector<at::Tensor>& whole) const;

  // The same in two halves, all buckets at once: what is begun by all ranks in one order goes on
  // while they compute.
  using Pending = std::vector<Ranks::Pending>;
  Pending start_reduce_scatter(std::vector<at::Tensor> values, at::ScalarType traffic);
  std::vector<at::Tensor> finish_reduce_scatter(Pending pending) const;
  Pending start_all_gather(const std::vector<at::Tensor>& own);
  void finish_all_gather(Pending pending, const std::vector<at::Tensor>& whole) const;

 private:
  struct Bucket {
    size_t first = 0, last = 0;  // tensors [first, last)
    int64_t row = 0;             // sum of their parts
  };

  Ranks::Pending send_values(const Bucket& bucket, std::vector<at::Tensor>& values,
                             at::ScalarType traffic);
  void receive_sums(const Bucket& bucket, const at::Tensor& of_group,
                    std::vector<at::Tensor>& sums) const;
  Ranks::Pending send_parts(const Bucket& bucket, const std::vector<at::Tensor>& own_parts) const;
  void receive_parts(const Bucket& bucket, const at::Tensor& rows,
                     const std::vector<at::Tensor>& whole) const;

  ShardGroups groups_;
  std::vector<int64_t> numels_, parts_;
  std::vector<Bucket> buckets_;
};

}  // namespace streamo::parallel
