// Samples are split in short runs of neighbours, since neighbours tend to share a video; results
// travel as text lines.
#include "run/ranked_samples.h"

#include <string>

#include "run/sample_lines.h"

namespace streamo::run {
namespace {

constexpr size_t kInARow = 16;

}  // namespace

std::vector<size_t> samples_of_rank(int rank, int ranks, size_t count) {
  std::vector<size_t> own;
  for (size_t sample = 0; sample < count; ++sample) {
    if (sample / kInARow % static_cast<size_t>(ranks) == static_cast<size_t>(rank))
      own.push_back(sample);
  }
  return own;
}

std::vector<data::SampleItems> read_all_samples(const data::SampleSource& source,
                                                const text::ChatFormat& chat,
                                                const data::IndexOptions& options,
                                                parallel::Ranks& ranks) {
  const auto own = samples_of_rank(ranks.rank(), ranks.size(), source.size());
  std::vector<data::SampleItems> found = data::read_items(source, own, chat, options);
  if (ranks.size() == 1) return found;
  const std::vector<std::string> all = ranks.gather(to_lines(found));
  std::vector<data::SampleItems> of_sample(source.size());
  for (int rank = 0; rank < ranks.size(); ++rank) {
    const std::vector<size_t> samples = samples_of_rank(rank, ranks.size(), source.size());
    std::vector<data::SampleItems> theirs = parse_lines(all[static_cast<size_t>(rank)], samples);
    for (size_t i = 0; i < samples.size(); ++i) of_sample[samples[i]] = std::move(theirs[i]);
  }
  return of_sample;
}

}  // namespace streamo::run
