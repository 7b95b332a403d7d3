// What can be wrong or odd about a sample: told by `streamo check`, and by a run at its start.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace streamo::data {

// In the order of the report. What each means: finding_kind().
enum class Finding {
  // The sample cannot be used:
  kRecord,
  kPath,
  kVideo,
  kPicture,
  kFrames,
  kUnsupervised,
  kTooLong,
  kAnswersLost,
  // It is used, though not quite as it is written:
  kOutOfRange,
  kEndBeforeStart,
  kNegativeTime,
  kUnreadableTime,
  kOverwrittenAnswer,
  kOverlappingEvents,
  kEarlyAnswer,
  kNoState,
  kAlwaysAsks,
  kMendedFrames,
  kSplit,
  kTruncated,
  kDuplicate,
  kContradiction,
  kInTraining,
  // About a video, listed once:
  kLowRate,
  kLongStill,
  kOnePicture,
  kExtremeShape,
  kEndsEarly,
};
inline constexpr size_t kNumFindings = static_cast<size_t>(Finding::kEndsEarly) + 1;

struct FindingKind {
  const char* key;      // in JSON; never changes
  const char* meaning;  // for people
  bool bad;             // the sample is left out
};
const FindingKind& finding_kind(Finding finding);

struct FindingEntry {
  std::string id;    // of the sample, or of the first one of the video
  std::string what;  // a readable line
};

using Findings = std::vector<std::pair<Finding, std::string>>;  // of one sample

// Of one sample: how often, and the first time in words.
struct CountedFinding {
  Finding finding = Finding::kRecord;
  int64_t entries = 0;
  std::string first;
};
std::vector<CountedFinding> counted(const Findings& findings);

// Of many samples, one kind: in how many, how often, and the first few.
struct FindingSummary {
  static constexpr size_t kShown = 3;
  int64_t samples = 0, entries = 0;
  std::vector<FindingEntry> first;
};
using FindingSummaries = std::array<FindingSummary, kNumFindings>;
void add(const std::string& id, const std::vector<CountedFinding>& of_sample,
         FindingSummaries& summaries);

// Those kinds that make a sample bad, or the others, under a title; "" when there is none.
std::string to_text(const FindingSummaries& summaries, bool bad, const char* title);

}  // namespace streamo::data
