// The samples of a run, looked at by all its ranks together.
#pragma once

#include <cstddef>
#include <vector>

#include "data/samples/index.h"
#include "parallel/ranks.h"

namespace streamo::run {

// Which of `count` samples each rank reads: those of one video often stand together, and share what
// was read of it, so some in a row go to one rank.
std::vector<size_t> samples_of_rank(int rank, int ranks, size_t count);

// Collective. data::read_items() of all samples with its work divided: every sample is read by one
// rank, and all get the same. What takes long is to read the videos' packets.
std::vector<data::SampleItems> read_all_samples(const data::SampleSource& source,
                                                const text::ChatFormat& chat,
                                                const data::IndexOptions& options,
                                                parallel::Ranks& ranks);

}  // namespace streamo::run
