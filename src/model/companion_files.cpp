// Decides which files accompany the weights into a checkpoint or an export.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/io/file.h"
#include "core/log.h"
#include "model/hf_directory.h"
#include "model/weights/weight_files.h"
#include "model/weights/weight_layout.h"
#include "streamo/core/error.h"

namespace streamo::model {
namespace {

namespace fs = std::filesystem;

constexpr uintmax_t kMaxBytes = uintmax_t{128} << 20;

// Without these the directory that is written would not load as the one it came from.
const std::set<std::string> kNeeded = {
    "config.json",       "generation_config.json",  "preprocessor_config.json",
    "tokenizer.json",    "tokenizer_config.json",   "processor_config.json",
    "vocab.json",        "special_tokens_map.json", "added_tokens.json",
    "merges.txt",        "tokenizer.model",         "chat_template.jinja",
    "chat_template.json"};

bool is_companion(const fs::directory_entry& entry) {
  static const std::set<std::string> kRunFiles = {"manifest.json", "trainer_state.json",
                                                  "best.json", kIndexFile, kLayoutFile};
  static const std::set<std::string> kExtensions = {".json", ".jinja", ".txt", ".model"};
  const fs::path name = entry.path().filename();
  return entry.is_regular_file() && kExtensions.contains(name.extension().string()) &&
         !kRunFiles.contains(name.string());
}

bool lies_in(const fs::path& file, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), file.begin(), file.end()).first ==
         folder.end();
}

// Where the model's own files lie: its folder, and in a cache of the hub ("models--OWNER--NAME/
// snapshots/REVISION", whose files are links) the "blobs" beside the snapshots.
std::vector<fs::path> own_folders(const fs::path& model_dir) {
  const fs::path real = fs::canonical(model_dir);
  std::vector<fs::path> folders = {real};
  const fs::path snapshots = real.parent_path(), model = snapshots.parent_path();
  if (snapshots.filename() == "snapshots" && model.filename().string().starts_with("models--")) {
    folders.push_back(model / "blobs");
  }
  return folders;
}

// Why a file stays where it is; "" when it goes with the weights.
std::string complaint_about(const fs::path& file, const std::vector<fs::path>& own) {
  const fs::path real = fs::canonical(file);
  if (std::none_of(own.begin(), own.end(),
                   [&](const fs::path& folder) { return lies_in(real, folder); })) {
    return "is a link that leads out of the model directory, to " + real.string();
  }
  const uintmax_t bytes = fs::file_size(file);
  return bytes > kMaxBytes ? fmt::format("has {} bytes, at most {} are copied", bytes, kMaxBytes)
                           : "";
}

}  // namespace

std::vector<fs::path> companion_files(const fs::path& model_dir,
                                      std::vector<std::string>* left_out) {
  const std::vector<fs::path> own = own_folders(model_dir);
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(model_dir)) {
    if (!is_companion(entry)) continue;
    const std::string complaint = complaint_about(entry.path(), own);
    if (complaint.empty()) {
      files.push_back(entry.path());
    } else if (kNeeded.contains(entry.path().filename().string())) {
      throw core::Error(core::ErrorKind::kModel, complaint, entry.path().string(),
                        "put the file itself there: what is exported must not hold files from "
                        "elsewhere");
    } else if (left_out != nullptr) {
      left_out->push_back(fmt::format("{} {}", entry.path().string(), complaint));
    }
  }
  return files;
}

void check_companion_files(const fs::path& model_dir) {
  std::vector<std::string> left_out;
  companion_files(model_dir, &left_out);
  for (const std::string& file : left_out) core::log_warning("not copied: {}", file);
}

void write_companion_files(const fs::path& from, const fs::path& to,
                           const std::map<std::string, std::string>& extra_files) {
  for (const fs::path& file : companion_files(from)) {
    core::write_file_atomic(to / file.filename(), core::read_file(file));
  }
  for (const auto& [name, content] : extra_files) core::write_file_atomic(to / name, content);
}

}  // namespace streamo::model
