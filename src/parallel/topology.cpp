// Times one all-reduce and lists ranks, hosts and devices for the log.
#include "parallel/topology.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

#include "core/log.h"

namespace streamo::parallel {
namespace {

// Numbers of the sum, fp32: enough to fill the links, little beside what a run needs.
constexpr int64_t kNumelOnGpu = 16 << 20, kNumelOnCpu = 1 << 20;

// Of the slowest rank. The first exchange of all makes the connections, and is not counted.
double seconds_to_sum(Ranks& ranks, const at::Tensor& numbers) {
  const auto sum = [&] { return ranks.all_reduce(numbers)[0].item<float>(); };  // waits for it
  sum();
  ranks.barrier();
  const double started = core::monotonic_seconds();
  sum();
  std::vector<double> seconds(static_cast<size_t>(ranks.size()));
  seconds[static_cast<size_t>(ranks.rank())] = core::monotonic_seconds() - started;
  seconds = ranks.sum(seconds);  // those of each rank
  return *std::max_element(seconds.begin(), seconds.end());
}

}  // namespace

std::string topology(Ranks& ranks, at::Device device) {
  const std::vector<std::string> devices = ranks.gather(device.str());
  const at::Tensor numbers = at::ones({device.is_cuda() ? kNumelOnGpu : kNumelOnCpu},
                                      at::TensorOptions(device).dtype(at::kFloat));
  const double seconds = seconds_to_sum(ranks, numbers);
  const double sent =
      2.0 * static_cast<double>(numbers.nbytes()) * (ranks.size() - 1) / ranks.size();
  std::set<std::string> hosts;
  for (int rank = 0; rank < ranks.size(); ++rank) hosts.insert(ranks.rank_host(rank));
  std::string lines = fmt::format(
      "{} ranks on {} machine{}, {}; the first sum, of {:.0f} MB: {:.3f} s, {:.2f} GB/s sent by "
      "each",
      ranks.size(), hosts.size(), hosts.size() == 1 ? "" : "s", device.is_cuda() ? "NCCL" : "Gloo",
      static_cast<double>(numbers.nbytes()) / (1 << 20), seconds, sent / seconds / 1e9);
  for (int rank = 0; rank < ranks.size(); ++rank)
    lines +=
        fmt::format("\n  {}, {}", ranks.describe_rank(rank), devices[static_cast<size_t>(rank)]);
  return lines;
}

}  // namespace streamo::parallel
