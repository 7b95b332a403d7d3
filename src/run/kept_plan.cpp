// Creates, stores and reloads the plan of a run.
#include "run/kept_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/io/file.h"
#include "core/json/dump_json.h"
#include "core/log.h"
#include "core/process/parallel.h"
#include "run/ranked_samples.h"
#include "run/sample_lines.h"
#include "streamo/core/error.h"

namespace streamo::run {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kNewRun = "or choose another checkpoint.dir for a new run";

std::vector<size_t> all_samples(const data::SampleSource& source) {
  std::vector<size_t> numbers(source.size());
  std::iota(numbers.begin(), numbers.end(), size_t{0});
  return numbers;
}

// How the videos of some samples differ from what the plan says of them.
struct Differences {
  enum Kind : size_t { kUnreadable, kAnother, kReadableAgain, kKinds };
  struct Of {
    int64_t count = 0;
    std::string example = {};  // of the first sample
  };
  Of of[kKinds];
};

// One sample: the kind of its difference, kKinds for none, and what to say of it.
std::pair<Differences::Kind, std::string> compare(const data::SampleItems& planned, size_t sample,
                                                  const data::SampleSource& source,
                                                  const text::ChatFormat& chat,
                                                  const data::IndexOptions& options) {
  if (planned.overlong && planned.reason) return {Differences::kKinds, ""};
  if (!planned.reason) {
    const auto id = source.content_id(sample);
    if (id && *id == planned.content_id) return {Differences::kKinds, ""};
  }
  const data::SampleItems now = data::read_items(source, {sample}, chat, options).front();
  if (planned.reason) {
    if (now.reason) return {Differences::kKinds, ""};
    return {Differences::kReadableAgain, source.id(sample)};
  }
  if (now.reason) return {Differences::kUnreadable, source.id(sample) + ": " + *now.reason};
  return {Differences::kAnother, source.id(sample)};
}

Differences add_up(const std::vector<std::string>& of_ranks) {
  Differences all;
  int64_t first[Differences::kKinds] = {INT64_MAX, INT64_MAX, INT64_MAX};
  for (const std::string& text : of_ranks) {
    for (const Json& found : Json::parse(text)) {
      const auto kind = found.at(0).get<size_t>();
      Differences::Of& of = all.of[kind];
      ++of.count;
      if (const int64_t sample = found.at(1); sample < first[kind]) {
        first[kind] = sample;
        of.example = found.at(2);
      }
    }
  }
  return all;
}

}  // namespace

data::Index KeptPlan::begin(data::SampleReport& report) {
  const std::vector<data::SampleItems> samples = read_all_samples(source_, chat_, options_, ranks_);
  data::Index index = data::make_index(source_, samples, report);
  const std::string text = to_lines(samples);
  hash_ = core::hash_bytes(text);
  keep(text);
  return index;
}

void KeptPlan::keep(const std::string& text) const {
  if (ranks_.first()) core::write_file_atomic(run_folder_ / kFile, text);
}

// The first rank's, "" where there is none.
std::string KeptPlan::read_lines(const fs::path& file) const {
  const bool there = ranks_.first() && fs::exists(file);
  return ranks_.gather(there ? core::read_file(file) : "").front();
}

data::Index KeptPlan::go_on(const ResumePoint& from, data::SampleReport& report,
                            double max_bad_fraction) {
  const fs::path file = from.path.parent_path() / kFile;
  std::string text = read_lines(file);
  const bool lost = text.empty();
  if (lost) text = to_lines(read_all_samples(source_, chat_, options_, ranks_));
  if (core::hash_bytes(text) != from.trainer_state.at("plan")) {
    throw core::Error(core::ErrorKind::kCheckpoint,
                      lost ? "the plan of the run is lost, and the videos are not all as they were "
                             "when it was made"
                           : "this is not the plan that the checkpoint was made with",
                      file.string(), std::string("restore the file, ") + kNewRun);
  }
  const std::vector<data::SampleItems> samples = parse_lines(text, all_samples(source_));
  data::Index index = data::make_index(source_, samples, report);
  hash_ = core::hash_bytes(text);
  if (lost || !fs::equivalent(file.parent_path(), run_folder_)) keep(text);
  if (!lost) compare_with_now(samples, report.size(), max_bad_fraction);
  return index;
}

// Of videos in use only size and ends are read; those left out are read through.
void KeptPlan::compare_with_now(const std::vector<data::SampleItems>& samples, int64_t left_out,
                                double max_bad_fraction) {
  const auto own = samples_of_rank(ranks_.rank(), ranks_.size(), samples.size());
  std::vector<std::pair<Differences::Kind, std::string>> found(own.size());
  core::parallel_for(own.size(), options_.num_workers, [&](size_t i) {
    found[i] = compare(samples[own[i]], own[i], source_, chat_, options_);
  });
  Json different = Json::array();
  for (size_t i = 0; i < own.size(); ++i) {
    if (found[i].first != Differences::kKinds)
      different.push_back({found[i].first, own[i], found[i].second});
  }
  const Differences all = add_up(ranks_.gather(core::dump_json(different)));
  const auto& [unreadable, another, again] = all.of;
  if (another.count > 0) {
    throw core::Error(
        core::ErrorKind::kConfig,
        fmt::format("{} samples have other videos than the run began with", another.count),
        another.example, std::string("restore them, ") + kNewRun);
  }
  if (static_cast<double>(left_out + unreadable.count) >
      max_bad_fraction * static_cast<double>(samples.size())) {
    throw core::Error(
        core::ErrorKind::kData,
        fmt::format("{} of {} samples cannot be used now, more than data.max_bad_fraction = {}",
                    left_out + unreadable.count, samples.size(), max_bad_fraction),
        unreadable.count > 0 ? "for example " + unreadable.example : "see skipped.jsonl",
        "bring the videos back (is their disk there?)");
  }
  if (!ranks_.first()) return;
  if (unreadable.count > 0)
    core::log_warning(
        "{} samples of the plan cannot be read now and will be skipped at their place, for example "
        "{}",
        unreadable.count, unreadable.example);
  if (again.count > 0)
    core::log_warning(
        "{} samples that were left out when the run began could be read now, and stay left out, "
        "for example {}",
        again.count, again.example);
}

}  // namespace streamo::run
