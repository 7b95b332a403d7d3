// The lock on the folder, and the list of settings that may change between stopping and resuming.
#include "run/run_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "config/run_config.h"
#include "core/io/file.h"
#include "core/io/output.h"
#include "core/io/system_error.h"
#include "streamo/core/error.h"

namespace streamo::run {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 29> kResumableKeys = {"data.train",  // compared by content
                                                             "data.video_prefix",
                                                             "data.allow_outside_prefix",
                                                             "data.eval",
                                                             "data.decoder",
                                                             "data.num_workers",
                                                             "data.decode_timeout",
                                                             "data.frame_memory_mb",
                                                             "data.frame_cache",
                                                             "data.frame_cache_max_gb",
                                                             "data.max_bad_fraction",
                                                             "train.num_threads",
                                                             "train.grad_accum_steps",
                                                             "train.nonfinite",
                                                             "train.max_nonfinite_skips",
                                                             "parallel.shard",
                                                             "parallel.shard_group_size",
                                                             "parallel.timeout",
                                                             "checkpoint.dir",
                                                             "checkpoint.resume",
                                                             "checkpoint.every_steps",
                                                             "checkpoint.keep",
                                                             "log.every_steps",
                                                             "log.tensorboard",
                                                             "eval.every_steps",
                                                             "eval.max_samples",
                                                             "eval.teacher_forced",
                                                             "eval.best_metric",
                                                             "model.gradient_checkpointing"};

}  // namespace

RunFolder::RunFolder(std::filesystem::path path, bool owner) : path_(std::move(path)) {
  if (!owner) return;
  core::create_folders(path_);
  const std::string lock = path_ / ".lock";
  require_ours(final_model(path_));
  lock_fd_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (lock_fd_ < 0)
    throw core::system_error(errno, "cannot write in the run folder", path_.string());
  // The kernel drops the lock with the process, however that ends.
  if (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    ::close(lock_fd_);
    if (error != EWOULDBLOCK)
      throw core::system_error(error, "cannot lock the run folder", path_.string());
    throw core::Error(core::ErrorKind::kConfig, "another run is writing to this folder",
                      path_.string(), "wait for it, stop it, or choose another checkpoint.dir");
  }
  core::remove_temporaries(path_);
}

bool RunFolder::made_by_us(const std::filesystem::path& model_dir) {
  return core::is_own_directory(model_dir);
}

void RunFolder::require_ours(const std::filesystem::path& model_dir) {
  if (!std::filesystem::exists(model_dir) || made_by_us(model_dir)) return;
  throw core::Error(core::ErrorKind::kConfig,
                    "the run needs this name in its folder, and what has it is not of a run",
                    model_dir.string(), "move it, or choose another checkpoint.dir");
}

RunFolder::~RunFolder() {
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

namespace {

// A setting of a config that anybody may have written; `otherwise` where there is none.
Json setting_in(const Json& config, const std::string& section, const std::string& name,
                const Json& otherwise) {
  const Json part = config.is_object() ? config.value(section, Json()) : Json();
  return part.is_object() ? part.value(name, otherwise) : otherwise;
}

// Calls visit(key, former, value) for each setting that differs.
template <typename Visit>
void for_each_difference(const Json& before, const Json& now, const Visit& visit) {
  config::RunConfig defaults;
  const Json values = config::make_schema(defaults).values();
  for (const auto& [section, settings] : now.items()) {
    for (const auto& [name, value] : settings.items()) {
      const Json default_value = setting_in(values, section, name, Json());
      const Json former = setting_in(before, section, name, default_value);
      if (former != value) visit(section + "." + name, former, value);
    }
  }
}

std::string describe(const std::string& key, const Json& former, const Json& value) {
  return fmt::format("{}: {} -> {}", key, former.dump(), value.dump());
}

}  // namespace

std::vector<std::string> differences(const Json& before, const Json& now) {
  std::vector<std::string> found;
  for_each_difference(before, now,
                      [&](const std::string& key, const Json& former, const Json& value) {
                        found.push_back(describe(key, former, value));
                      });
  return found;
}

std::vector<std::string> run_changing_differences(const Json& before, const Json& now) {
  std::vector<std::string> found;
  for_each_difference(
      before, now, [&](const std::string& key, const Json& former, const Json& value) {
        if (std::find(kResumableKeys.begin(), kResumableKeys.end(), key) == kResumableKeys.end())
          found.push_back(describe(key, former, value));
      });
  return found;
}

}  // namespace streamo::run
