// Examines samples on many threads and adds them up in file order, so that "duplicate of" always
// names the earlier one.
#include "data/check/dataset_check.h"

#include <fmt/format.h>

#include "core/log.h"
#include "data/check/sample_examination.h"
#include "data/loading/ordered_pipeline.h"

namespace streamo::data {
namespace {

std::vector<int64_t> tokens_of_steps(const std::vector<int64_t>& tokens_of_item,
                                     PlanOptions options) {
  options.epochs = 1;
  options.max_steps = 0;
  std::vector<PlanItem> plan_items;
  for (const int64_t tokens : tokens_of_item) plan_items.push_back({.tokens = tokens});
  Plan plan(std::move(plan_items), options);
  std::vector<int64_t> tokens_of_step;
  for (int64_t step = 0; step < plan.total_steps(); ++step) {
    int64_t tokens = 0;
    for (const MicroBatchPlan& micro_batch : plan.step(step).micro_batches) {
      for (const size_t item : micro_batch.items) tokens += tokens_of_item[item];
    }
    tokens_of_step.push_back(tokens);
  }
  return tokens_of_step;
}

}  // namespace

// Takes the samples of one set in their order.
class CheckRun {
 public:
  explicit CheckRun(DatasetChecker& checker) : checker_(checker) {}

  void add(Examination sample) {
    ++check_.samples;
    count_video(sample);
    check_.answers += sample.answers;
    check_.answers_lost += sample.answers_lost;
    if (sample.bad) {
      ++check_.bad_samples;
    } else {
      compare(sample);
      count(sample);
    }
    list(sample.id, sample.findings);
  }

  DatasetCheck take() { return std::move(check_); }

 private:
  bool is_first_set() const { return checker_.sets_ == 0; }

  void list(const std::string& id, const Findings& findings) {
    std::array<bool, kNumFindings> seen = {};
    for (const auto& [finding, what] : findings) {
      const auto number = static_cast<size_t>(finding);
      check_.findings[number].push_back({id, what});
      if (!seen[number]) ++check_.samples_with[number];
      seen[number] = true;
    }
  }

  // Once a video.
  void count_video(const Examination& sample) {
    if (sample.video_path.empty() || !videos_.insert(sample.video_path).second) return;
    ++check_.videos;
    if (is_first_set()) {
      checker_.trained_videos_.insert(sample.video_path);
    } else {
      check_.videos_in_training += checker_.trained_videos_.count(sample.video_path);
    }
    if (!sample.video) {
      ++check_.unreadable_videos;
      return;
    }
    check_.video_seconds += sample.video->duration;
    list(sample.id, sample.video_findings);
  }

  void compare(Examination& sample) {
    const DatasetChecker::Known self{checker_.sets_, sample.id};
    const auto [same, is_new] = checker_.by_content_.try_emplace(sample.content_hash, self);
    const auto [asked, is_new_question] =
        checker_.by_questions_.try_emplace(sample.questions_hash, self);
    if (!is_new) {
      const auto& [set, id] = same->second;
      const Finding finding = set == checker_.sets_ ? Finding::kDuplicate : Finding::kInTraining;
      sample.findings.emplace_back(finding, "is " + id);
    } else if (!is_new_question) {
      sample.findings.emplace_back(Finding::kContradiction,
                                   "answers otherwise than " + asked->second.id);
    }
  }

  void count(const Examination& sample) {
    for (size_t state = 0; state < sample.states.size(); ++state) {
      check_.states[state] += sample.states[state];
    }
    check_.turns_without_state += sample.turns_without_state;
    constexpr auto kResponse = static_cast<size_t>(text::State::kResponse);
    if (sample.states[kResponse] == 0) ++check_.samples_without_response;
    check_.turns_of_sample.push_back(sample.turns);
    check_.visual_tokens += sample.visual_tokens;
    for (const Item& item : sample.items) {
      check_.tokens_of_item.push_back(item.tokens);
      check_.supervised_tokens += item.supervised;
    }
  }

  DatasetChecker& checker_;
  DatasetCheck check_;
  std::unordered_set<std::string> videos_;
};

DatasetCheck DatasetChecker::check(const std::string& label, const SampleSource& source,
                                   const CheckOptions& options) {
  CheckRun run(*this);
  {
    core::ProgressBar progress(label, static_cast<int64_t>(source.size()));
    ordered_pipeline(
        source.size(), options.index.num_workers, [](size_t index) { return index; },
        [&](size_t index) { return examine(source, index, options); },
        [&](size_t, Examination sample) {
          run.add(std::move(sample));
          progress.advance();
        });
  }
  ++sets_;
  DatasetCheck check = run.take();
  for (const std::filesystem::path& file : source.files()) check.files.push_back(file.string());
  if (options.plan && !check.tokens_of_item.empty()) {
    check.tokens_of_step = tokens_of_steps(check.tokens_of_item, *options.plan);
  }
  return check;
}

std::optional<std::string> dataset_problem(const DatasetCheck& check, double max_bad_fraction) {
  if (check.bad_samples == check.samples) return "no sample can be used";
  if (static_cast<double>(check.bad_samples) <=
      max_bad_fraction * static_cast<double>(check.samples)) {
    return lost_answers_problem(check.answers, check.answers_lost, max_bad_fraction);
  }
  return fmt::format("{} of {} samples cannot be used, more than data.max_bad_fraction = {}",
                     check.bad_samples, check.samples, max_bad_fraction);
}

}  // namespace streamo::data
