#include "streamo/train/run_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "streamo/core/error.h"

namespace streamo::train {
namespace {

constexpr std::array<std::string_view, 18> kFreeKeys = {"data.eval",
                                                        "data.num_workers",
                                                        "data.frame_memory_mb",
                                                        "data.frame_cache",
                                                        "data.frame_cache_max_gb",
                                                        "data.max_bad_fraction",
                                                        "train.num_threads",
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

RunFolder::RunFolder(std::filesystem::path path) : path_(std::move(path)) {
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  if (error) {
    throw core::Error(core::ErrorKind::kDisk, "cannot create the run folder: " + error.message(),
                      path_.string(), "choose another checkpoint.dir");
  }
  const std::string lock = path_ / ".lock";
  lock_fd_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_fd_ < 0) {
    throw core::Error(core::ErrorKind::kDisk,
                      std::string("cannot write in the run folder: ") + std::strerror(errno),
                      path_.string(), "choose another checkpoint.dir");
  }
  if (::flock(lock_fd_, LOCK_EX | LOCK_NB) !=
      0) {  // the kernel drops it with the process, however that ends
    ::close(lock_fd_);
    throw core::Error(core::ErrorKind::kConfig, "another run is writing to this folder",
                      path_.string(), "wait for it, stop it, or choose another checkpoint.dir");
  }
}

RunFolder::~RunFolder() {
  ::close(lock_fd_);
}

std::vector<std::string> run_changing_differences(const nlohmann::ordered_json& before,
                                                  const nlohmann::ordered_json& now) {
  std::vector<std::string> differences;
  for (const auto& [section, settings] : now.items()) {
    for (const auto& [name, value] : settings.items()) {
      const std::string key = section + "." + name;
      if (std::find(kFreeKeys.begin(), kFreeKeys.end(), key) != kFreeKeys.end()) continue;
      const auto former = before.value(section, nlohmann::ordered_json::object())
                              .value(name, nlohmann::ordered_json());
      if (former != value)
        differences.push_back(fmt::format("{}: {} -> {}", key, former.dump(), value.dump()));
    }
  }
  return differences;
}

}  // namespace streamo::train
