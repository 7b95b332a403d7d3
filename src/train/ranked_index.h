// The index of a run, made by all its ranks together.
#pragma once

#include "streamo/data/index.h"
#include "streamo/data/sample_report.h"
#include "streamo/dist/ranks.h"

namespace streamo::train {

// Collective. data::build_index() with its work divided: every sample is read by one rank, and all
// get the same index and the same report. What takes long is to read the videos' packets.
data::Index build_index(const data::SampleSource& source, const text::ChatFormat& chat,
                        const data::IndexOptions& options, data::SampleReport& report,
                        dist::Ranks& ranks);

}  // namespace streamo::train
