// Writes <run>/base: a preset's config with a tokenizer trained on the run's own text, or a
// published tokenizer with tokens added.
#include "run/model_directory.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "checkpoint/snapshot.h"
#include "config/options.h"
#include "core/io/file.h"
#include "core/io/output.h"
#include "core/log.h"
#include "core/process/parallel.h"
#include "model/hf_directory.h"
#include "streamo/core/error.h"
#include "streamo/text/special_tokens.h"
#include "streamo/text/tokenizer.h"

namespace streamo::run {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxTokenizerSamples = 20'000;  // more text does not change a small vocabulary

void train_preset_tokenizer(const config::RunConfig& config, const data::SampleSource& source,
                            const fs::path& model_dir) {
  const size_t count = std::min(source.size(), kMaxTokenizerSamples);
  std::vector<std::vector<std::string>> sample_texts(count);
  std::vector<std::string> reasons(count);
  core::parallel_for(count, static_cast<int>(config.data.num_workers), [&](size_t i) {
    // Spread evenly: several files in a row may have texts of their own.
    const size_t sample = i * source.size() / count;
    const auto conversation = source.conversation(sample);
    if (!conversation) {  // the index lists it as skipped
      reasons[i] = source.id(sample) + ": " + conversation.reason();
      return;
    }
    for (const text::Message& message : conversation->messages) {
      for (std::string& piece : text::text_pieces(message)) {
        sample_texts[i].push_back(std::move(piece));
      }
    }
  });
  std::vector<std::string> texts;
  for (std::vector<std::string>& of_sample : sample_texts) {
    std::move(of_sample.begin(), of_sample.end(), std::back_inserter(texts));
  }
  if (texts.empty()) {
    throw core::Error(core::ErrorKind::kData, "no sample can be used: " + reasons.front(),
                      "data.train", "check data.train and data.video_prefix");
  }
  text::train_tokenizer(texts, static_cast<int>(config.model.vocab_size), model_dir);
}

model::PresetTokens preset_tokens(const text::Tokenizer& tokenizer) {
  return {.vocab_size = tokenizer.vocab_size(),
          .image_token_id = tokenizer.special_id(text::kImagePad),
          .video_token_id = tokenizer.special_id(text::kVideoPad),
          .vision_start_token_id = tokenizer.special_id(text::kVisionStart),
          .vision_end_token_id = tokenizer.special_id(text::kVisionEnd),
          .eos_token_id = tokenizer.special_id(text::kImEnd),
          .pad_token_id = tokenizer.special_id(text::kEndOfText)};
}

bool has_begun(const fs::path& run_dir) {
  return !checkpoint::snapshots_in(run_dir).empty();
}

// Until there is a checkpoint nothing depends on the folder, and an earlier start that failed may
// have had other settings or other data. Of a run that goes on it holds what the checkpoint has.
template <typename Write>
void write_base(const fs::path& base, const config::RunConfig& config, const fs::path& resume_from,
                const Write& write) {
  if (has_begun(base.parent_path()) && fs::exists(base)) return;
  core::write_own_directory(base, [&](const fs::path& folder) {
    if (resume_from.empty()) {
      write(folder);
    } else {
      model::write_companion_files(resume_from, folder, {});
      model::write_weight_layout(resume_from, folder);
    }
    for (const auto& [name, content] : config::inference_settings(config).files())
      core::write_file_atomic(folder / name, content);
  });
}

ModelDirectory prepare_preset(const config::RunConfig& config, const fs::path& base,
                              const data::SampleSource& source, bool write,
                              const fs::path& resume_from) {
  if (!write) return {base};
  write_base(base, config, resume_from, [&](const fs::path& folder) {
    train_preset_tokenizer(config, source, folder);
    const auto tokenizer = text::load_tokenizer(folder);
    model::write_preset(config.model.preset, preset_tokens(*tokenizer), folder);
  });
  return {base};
}

ModelDirectory prepare_published(const config::RunConfig& config, const fs::path& base, bool write,
                                 const fs::path& resume_from) {
  const fs::path from = config.model.path;
  model::require_model_directory(from,
                                 "set model.path to a folder with config.json and *.safetensors");
  model::check_companion_files(from);
  const auto tokenizer = text::load_tokenizer(from);
  const std::vector<std::string> missing =
      text::missing_special_tokens(*tokenizer, config.model.new_special_tokens);
  model::check_tokenizer(from, preset_tokens(*tokenizer));
  ModelDirectory directory{.path = from, .known_tokens = tokenizer->vocab_size()};
  if (missing.empty()) return directory;
  directory.path = base;
  directory.new_token_ids.resize(missing.size());
  std::iota(directory.new_token_ids.begin(), directory.new_token_ids.end(), directory.known_tokens);
  if (!write) return directory;
  write_base(base, config, resume_from, [&](const fs::path& folder) {
    const int64_t vocab_size = directory.new_token_ids.back() + 1;
    model::write_companion_files(
        from, folder, {{"config.json", model::config_with_vocabulary(from, vocab_size)}});
    model::write_weight_layout(from, folder);
    text::add_special_tokens(from, folder, missing);
  });
  core::log_info("tokenizer {} added, ids {}", fmt::join(missing, " "),
                 fmt::join(directory.new_token_ids, ", "));
  return directory;
}

}  // namespace

ModelDirectory prepare_model_directory(const config::RunConfig& config, const fs::path& run_dir,
                                       const data::SampleSource& source, bool write,
                                       const fs::path& resume_from) {
  const fs::path base = run_dir / "base";
  return config.model.preset.empty() ? prepare_published(config, base, write, resume_from)
                                     : prepare_preset(config, base, source, write, resume_from);
}

}  // namespace streamo::run
