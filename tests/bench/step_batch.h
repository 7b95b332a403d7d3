// The micro-batch of the step benchmark: one streamed video as the chat format has it.
#pragma once

#include <cstdint>

#include "data/loading/batch.h"

namespace streamo::bench {

// 64 turns of one 112 x 112 picture (16 visual tokens) each: header, time tag, picture, state; a
// few turns answer in words. 2.8k tokens. Text is random ids below `vocab_size`, the structure is
// the real one; special tokens have the ids of step_model.json. A pure function of the arguments.
data::MicroBatch make_step_batch(int64_t vocab_size, uint64_t seed);

}  // namespace streamo::bench
