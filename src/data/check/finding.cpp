// The description of each kind of finding, and how findings are counted and summarised.
#include "data/check/finding.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/formats/number_text.h"

namespace streamo::data {
namespace {

constexpr std::array<FindingKind, kNumFindings> kKinds = {{
    {"record", "the record cannot be read", true},
    {"path", "a path leads out of the video prefix", true},
    {"video", "the video cannot be read", true},
    {"picture", "its pictures cannot be used", true},
    {"frames", "pictures and placeholders do not match", true},
    {"unsupervised", "there is no turn to learn from", true},
    {"too_long", "longer than data.max_length", true},
    {"answers_lost", "of its answers none is left", true},
    {"out_of_range", "beyond the end of the video: left out", false},
    {"end_before_start", "an event ends before it starts: no standby", false},
    {"negative_time", "a time before the video: counts as its start", false},
    {"unreadable_time", "a time that cannot be read: counts as none", false},
    {"overwritten_answer", "an answer is overwritten by a later response", false},
    {"overlapping_events", "two events overlap: the later in the file wins", false},
    {"early_answer", "an answer comes before the first question", false},
    {"no_state", "turns begin with no state", false},
    {"always_asks", "every turn asks something else: a time tag of a kind of its own?", false},
    {"mended_frames", "one picture too many or too few: mended", false},
    {"split", "longer than a window: split into several", false},
    {"truncated", "longer than data.max_length: cut", false},
    {"duplicate", "the same sample once more", false},
    {"contradiction", "the same questions on the same video, other answers", false},
    {"in_training", "the sample is in data.train as well", false},
    {"low_rate", "fewer pictures than turns", false},
    {"long_still", "one picture stays for several turns", false},
    {"one_picture", "a single picture", false},
    {"extreme_shape", "a very wide or very high picture", false},
    {"ends_early", "ends before it says: cut off?", false},
}};

}  // namespace

const FindingKind& finding_kind(Finding finding) {
  return kKinds[static_cast<size_t>(finding)];
}

std::vector<CountedFinding> counted(const Findings& findings) {
  std::vector<CountedFinding> kinds;
  for (const auto& [finding, what] : findings) {
    const auto same =
        std::find_if(kinds.begin(), kinds.end(),
                     [kind = finding](const CountedFinding& k) { return k.finding == kind; });
    if (same == kinds.end()) {
      kinds.push_back({finding, 1, what});
    } else {
      ++same->entries;
    }
  }
  return kinds;
}

void add(const std::string& id, const std::vector<CountedFinding>& of_sample,
         FindingSummaries& summaries) {
  for (const CountedFinding& found : of_sample) {
    FindingSummary& summary = summaries[static_cast<size_t>(found.finding)];
    ++summary.samples;
    summary.entries += found.entries;
    if (summary.first.size() < FindingSummary::kShown) summary.first.push_back({id, found.first});
  }
}

std::string to_text(const FindingSummaries& summaries, bool bad, const char* title) {
  std::string text;
  for (size_t i = 0; i < kNumFindings; ++i) {
    const FindingKind& kind = finding_kind(static_cast<Finding>(i));
    const FindingSummary& summary = summaries[i];
    if (kind.bad != bad || summary.entries == 0) continue;
    text += fmt::format("  {:>7}  {:<20} {}\n", number(summary.samples), kind.key, kind.meaning);
    for (const FindingEntry& entry : summary.first)
      text += fmt::format("           {}: {}\n", entry.id, entry.what);
    const auto shown = static_cast<int64_t>(summary.first.size());
    if (summary.entries > shown)
      text += fmt::format("           and {} more\n", number(summary.entries - shown));
  }
  return text.empty() ? "" : fmt::format("\n{}\n{}", title, text);
}

}  // namespace streamo::data
