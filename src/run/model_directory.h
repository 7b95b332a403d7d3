// The directory a run takes its config, tokenizer and processor from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "config/run_config.h"
#include "data/samples/sample_source.h"

namespace streamo::run {

struct ModelDirectory {
  std::filesystem::path path;
  // Tokens of `path`'s tokenizer that the weights of model.path do not know: their rows are made
  // when the weights are loaded, from those of the `known_tokens` others.
  std::vector<int64_t> new_token_ids = {};
  int64_t known_tokens = 0;
};

// model.path, or <run_dir>/base where that is not yet all there is:
// - of a preset: a tokenizer trained on the texts of `source`, and a config.json;
// - of a model.path whose tokenizer lacks tokens of model.new_special_tokens: its files with these.
// No weights are in it. `write`: of several ranks only one writes it, before the others ask.
// `resume_from`: the checkpoint that the run goes on from, whose tokenizer it is then; empty: none.
// Throws core::Error{kModel} when tokenizer and config do not belong together, {kConfig} when a
// folder of that name was not written by this program.
ModelDirectory prepare_model_directory(const config::RunConfig& config,
                                       const std::filesystem::path& run_dir,
                                       const data::SampleSource& source, bool write,
                                       const std::filesystem::path& resume_from = {});

}  // namespace streamo::run
