// What there is to train on: one item a sample, or a window of one, with its exact number of
// tokens.
//
// Made at start from the annotations and the videos' packets; no picture is decoded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/check/finding.h"
#include "data/samples/sample_report.h"
#include "data/samples/sample_source.h"
#include "streamo/data/context_window.h"
#include "streamo/text/chat_format.h"

namespace streamo::data {

enum class Overlong { kDrop, kSplit, kTruncate };
Overlong parse_overlong(const std::string& name);  // drop | split | truncate

struct IndexOptions {
  int64_t max_length = 32768;  // tokens of one item
  Overlong overlong = Overlong::kSplit;
  ContextRule context = {};  // of the windows, when split
  int64_t token_side = 28;   // pixels of a visual token's side
  int num_workers = 4;
};

// What bounds a window, for people: "32768 tokens or 120 rounds".
std::string window_limits(const IndexOptions& options);

struct Item {
  size_t sample = 0;  // of the SampleSource
  // The window: the conversation's first `sink_rounds`, and `num_rounds` from `first_round` on. Of
  // these the first `seen_rounds` belonged to the window before, and are not learnt from again.
  int64_t first_round = 0;
  int64_t num_rounds = 0;
  int64_t sink_rounds = 0, seen_rounds = 0;
  int64_t tokens = 0;
  int64_t supervised = 0;  // of the tokens
  int64_t frames = 0;
  int64_t visual_tokens = 0;  // of the tokens: those of the pictures
};

// What one sample gives.
struct SampleItems {
  std::vector<Item> items = {};
  std::optional<std::string> reason = {};  // why there are none
  bool overlong = false;                   // it is longer than one window
  std::vector<CountedFinding> findings = {};
  int64_t responses = 0;                  // turns of the items
  int64_t answers = 0, answers_lost = 0;  // of an annotation
  std::string content_id = {};            // of its video or pictures, where there are items
};

struct Index {
  std::vector<Item> items;  // in the order of the files
  int64_t total_tokens = 0, total_frames = 0;
  int64_t overlong_samples = 0;  // samples that were dropped, split or cut
  FindingSummaries findings = {};
  int64_t responses = 0;                  // turns
  int64_t answers = 0, answers_lost = 0;  // of raw annotations
};

// The visual tokens of each picture of a conversation, from its size alone.
core::Result<std::vector<int64_t>> count_picture_tokens(const Conversation& conversation,
                                                        int64_t token_side,
                                                        const SampleSource& source);

// Of sample number `sample`, whose conversation has rounds and pictures of these tokens.
SampleItems split_into_items(const Conversation& conversation, std::vector<int64_t> picture_tokens,
                             size_t sample, const text::ChatFormat& chat,
                             const IndexOptions& options);

// What each of these samples of the source gives, in their order.
std::vector<SampleItems> read_items(const SampleSource& source, const std::vector<size_t>& samples,
                                    const text::ChatFormat& chat, const IndexOptions& options);
// From what all samples of the source give. Those that cannot be used go to the report; they, and
// what is odd about others, are told. Throws core::Error{kData} when none is left.
Index make_index(const SampleSource& source, const std::vector<SampleItems>& of_sample,
                 SampleReport& report);
// Throws core::Error{kData} for data that teach nothing but silence: no turn has a response, or
// more than `max_bad_fraction` of the answers are lost.
void require_answers(const Index& index, double max_bad_fraction);
// Why a share of lost answers is too large; nullopt when it is not.
std::optional<std::string> lost_answers_problem(int64_t answers, int64_t lost,
                                                double max_bad_fraction);
// Both, by this process alone.
Index build_index(const SampleSource& source, const text::ChatFormat& chat,
                  const IndexOptions& options, SampleReport& report);

}  // namespace streamo::data
