// Rows for tokens that a checkpoint was not trained with.
#pragma once

#include <cstdint>
#include <span>

#include "streamo/model/vision_language_model.h"

namespace streamo::model {

// Gives every id of `new_ids` a row of its own in the embedding and, where it is not tied, in the
// head: the mean of the rows [0, used_rows), those of the tokens the model was trained with. The
// mean keeps the new tokens' logits in the middle of those of the old ones, so that the others'
// probabilities hardly change (Hewitt, "Initializing New Word Embeddings for Pretrained Language
// Models", 2021).
//
// Published models have more rows than tokens (Qwen2.5: 151,936 and 151,665); rows that are there
// are written over, otherwise embedding and head grow to the largest id. The mean is summed in
// double in the order of the rows: the same bits on every rank and device, whatever the threads.
// Call it before an optimizer takes the parameters; they keep their place in the model. Returns the
// number of rows, which is config.json's vocab_size from then on (config_with_vocabulary).
//
// 0 < used_rows <= rows; new ids are >= used_rows (STREAMO_CHECKed).
int64_t add_token_rows(VisionLanguageModel& model, std::span<const int64_t> new_ids,
                       int64_t used_rows);

}  // namespace streamo::model
