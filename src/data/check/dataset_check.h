// Goes through a dataset before training: what cannot be used, what is odd, how it is balanced.
//
// Videos are probed, once each, and never decoded; so it takes about as long as a run takes to
// start. The same code as the run's decides what is usable, so that the two cannot disagree.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "data/check/finding.h"
#include "data/loading/plan.h"
#include "data/samples/index.h"
#include "data/samples/sample_source.h"
#include "streamo/text/chat_format.h"

namespace streamo::data {

struct CheckOptions {
  const text::ChatFormat* chat = nullptr;  // none: lengths in tokens stay unknown
  IndexOptions index;
  std::optional<PlanOptions> plan = {};  // with `chat`: also the steps of an epoch
  bool for_training = true;              // else to be played, where lost answers are truth as well
};

// Of one set of annotation files.
struct DatasetCheck {
  std::vector<std::string> files;
  size_t samples = 0, bad_samples = 0;
  std::array<std::vector<FindingEntry>, kNumFindings> findings;
  std::array<size_t, kNumFindings> samples_with = {};  // samples (or videos) with such entries

  size_t videos = 0, unreadable_videos = 0, videos_in_training = 0;
  double video_seconds = 0;  // of the readable videos, each counted once

  // Of the samples that can be used:
  std::array<int64_t, text::kNumStates> states = {};  // turns
  int64_t turns_without_state = 0, samples_without_response = 0;
  int64_t answers = 0, answers_lost = 0;  // of raw annotations, also of samples that are bad by it
  std::vector<int64_t> turns_of_sample;
  std::vector<int64_t> tokens_of_item;  // an item is a sample or a window of one; empty: no chat
  int64_t visual_tokens = 0, supervised_tokens = 0;
  std::vector<int64_t> tokens_of_step;  // of the first epoch; empty: no plan

  const std::vector<FindingEntry>& entries(Finding finding) const {
    return findings[static_cast<size_t>(finding)];
  }
};

// Checks one set after the other, so that the later ones can be compared with the first, which is
// trained on.
class DatasetChecker {
 public:
  // On options.index.num_workers threads, with a progress bar of that label. Samples are bad, items
  // long and steps many exactly as in a run (build_index, Plan).
  DatasetCheck check(const std::string& label, const SampleSource& source,
                     const CheckOptions& options);

 private:
  struct Known {
    size_t set = 0;
    std::string id;
  };
  friend class CheckRun;
  std::unordered_map<uint64_t, Known> by_content_;    // samples, by all that is in them
  std::unordered_map<uint64_t, Known> by_questions_;  // by the video and what is asked when
  std::unordered_set<std::string> trained_videos_;
  size_t sets_ = 0;
};

// Why a run with this set would stop; nullopt when it would not. `max_bad_fraction` as in the
// config.
std::optional<std::string> dataset_problem(const DatasetCheck& check, double max_bad_fraction);

// All of it, for machines (docs/data.md has the keys).
nlohmann::ordered_json to_json(const DatasetCheck& check);
// The same for people: tables, of each finding the first few.
std::string to_text(const DatasetCheck& check, double max_bad_fraction);

}  // namespace streamo::data
