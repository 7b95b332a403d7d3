// Which checkpoint a run goes on from, and whether it is of this run.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/snapshot.h"
#include "data/samples/sample_source.h"
#include "parallel/ranks.h"

namespace streamo::run {

struct ResumePoint {
  std::filesystem::path path;  // of a checkpoint that was verified
  nlohmann::ordered_json trainer_state;
};

// What the annotation files say, as checkpoints and ranks tell it: equal wherever they lie.
nlohmann::ordered_json data_identity(const std::vector<data::FileContent>& files);

struct RunIdentity {
  const nlohmann::ordered_json& effective_config;
  const nlohmann::ordered_json& data;  // data_identity()
};

// Collective: the first rank looks, all take what it found. By checkpoint.resume: "auto" is the
// newest sound checkpoint of the run folder (what was passed over is said, and set aside), "none" a
// run that has none, else the path of a checkpoint, of which the run becomes a branch (branch.h):
// named again, it is the newest of that branch. nullopt: the run begins. Throws
// core::Error{kConfig} when it is "none" and there are checkpoints, or the checkpoint is of another
// run, naming what differs; {kCheckpoint} for a path that is not a sound one.
std::optional<ResumePoint> find_resume_point(const std::string& resume,
                                             const std::filesystem::path& run_folder,
                                             const RunIdentity& run, parallel::Ranks& ranks);

// Throws core::Error{kConfig} when config.json, tokenizer or processor in `model_dir` are not those
// the checkpoint was made with.
void require_same_model_files(const ResumePoint& from, const std::filesystem::path& model_dir);

// What was skipped before the checkpoint, by the ids that the samples have now.
std::map<std::string, std::string> skipped_before(const ResumePoint& from,
                                                  const nlohmann::ordered_json& data);

}  // namespace streamo::run
