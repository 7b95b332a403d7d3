// Everything the check wants to know of one sample.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/check/dataset_check.h"
#include "data/check/label_findings.h"

namespace streamo::data {

struct Examination {
  std::string id;
  // Of a bad sample its reason, and where that is lost answers, what was lost.
  Findings findings;
  bool bad = false;
  std::string video_path;                 // empty: pictures, or the record cannot be read
  std::optional<video::VideoInfo> video;  // nothing: it cannot be read
  Findings video_findings;                // the same for each sample of the video

  int64_t answers = 0, answers_lost = 0;  // of an annotation
  bool overlong = false;                  // longer than one window

  // Of a sample that can be used:
  std::array<int64_t, text::kNumStates> states = {};  // of the turns that are trained on
  int64_t turns = 0, turns_without_state = 0;
  std::vector<Item> items;  // empty: no chat
  int64_t visual_tokens = 0;
  uint64_t content_hash = 0, questions_hash = 0;
};

// May be called from many threads.
Examination examine(const SampleSource& source, size_t index, const CheckOptions& options);

}  // namespace streamo::data
