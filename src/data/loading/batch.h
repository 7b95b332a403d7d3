// Samples laid end to end: no padding anywhere; attention is kept inside each by `cu_seqlens`.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "data/samples/training_example.h"

namespace streamo::data {

struct MicroBatch {
  int64_t number = 0;                     // within the step, over all ranks
  std::vector<std::string> ids;           // of the samples in it
  std::vector<text::TokenId> input_ids;   // [L]
  std::vector<int64_t> cu_seqlens = {0};  // [samples + 1]
  std::vector<int64_t> frames_of_sample;  // [samples]
  std::vector<video::Frame> frames;       // of all samples in order
  std::vector<int64_t> rows;           // [R] positions in input_ids whose hidden state predicts ...
  std::vector<int64_t> targets;        // [R] ... these
  std::vector<int64_t> states;         // [R] 0..2 or -1
  std::vector<int64_t> sample_of_row;  // [R]

  void append(Example example);
  bool empty() const { return ids.empty(); }
  std::array<double, 3> state_targets() const;  // targets by text::State
};

struct BadSample {
  std::string id, reason;
};

// What one rank computes of one optimizer step.
struct StepBatch {
  int64_t step = 0;
  double epoch = 0;
  std::vector<MicroBatch> micro_batches = {};  // empty ones too, all of whose samples were bad
  int64_t rounds = 0;                          // micro-batches of the rank that has most
  std::vector<BadSample> bad = {};
  double seconds_waited = 0;  // for its data

  int64_t tokens() const;
  int64_t supervised_tokens() const;  // N of the loss
  int64_t num_frames() const;
};

}  // namespace streamo::data
