// The plan that a run began with: the items of each sample, and the samples left out. It is kept in
// the run folder and every later start goes on with it, so what becomes of a video meanwhile
// changes nothing else: which sample comes in which step, how many steps there are, the learning
// rates.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "data/samples/index.h"
#include "data/samples/sample_report.h"
#include "parallel/ranks.h"
#include "run/resume.h"

namespace streamo::run {

class KeptPlan {
 public:
  // `run_folder`: where the plan lies, as kFile. The references must outlive this object.
  KeptPlan(const std::filesystem::path& run_folder, const data::SampleSource& source,
           const text::ChatFormat& chat, data::IndexOptions options, parallel::Ranks& ranks)
      : run_folder_(run_folder), source_(source), chat_(chat), options_(options), ranks_(ranks) {}

  static constexpr const char* kFile = "plan.jsonl";

  // Collective. Of a run that begins: from the videos as they are now. Samples that cannot be used
  // go to the report. Throws core::Error{kData} when none is left.
  data::Index begin(data::SampleReport& report);

  // Collective. Of a run that goes on: as it is kept beside the checkpoint; where the file is
  // missing it is made again, which must give the same. Samples left out then are left out still,
  // and go to the report. Says how many of the others cannot be read now, and how many of those
  // could be. Throws core::Error{kCheckpoint} when it is not the plan of the checkpoint, {kConfig}
  // when a video is now another one, {kData} when more than `max_bad_fraction` are unusable.
  data::Index go_on(const ResumePoint& from, data::SampleReport& report, double max_bad_fraction);

  // For the checkpoints.
  const std::string& hash() const { return hash_; }

 private:
  void keep(const std::string& text) const;
  std::string read_lines(const std::filesystem::path& file) const;
  void compare_with_now(const std::vector<data::SampleItems>& samples, int64_t left_out,
                        double max_bad_fraction);

  const std::filesystem::path& run_folder_;
  const data::SampleSource& source_;
  const text::ChatFormat& chat_;
  data::IndexOptions options_;
  parallel::Ranks& ranks_;
  std::string hash_;
};

}  // namespace streamo::run
