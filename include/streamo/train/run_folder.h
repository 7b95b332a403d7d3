// The folder of a run: whose it is, and whether what is in it is this run.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace streamo::train {

// Creates the folder and holds a lock in it, so that two processes cannot write one run.
class RunFolder {
 public:
  // Throws core::Error{kDisk} when it cannot be made or written, kConfig when another process holds
  // it.
  explicit RunFolder(std::filesystem::path path);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // The trained model of the run in that folder; there once the run is finished.
  static std::filesystem::path final_model(const std::filesystem::path& run) {
    return run / "final";
  }

 private:
  std::filesystem::path path_;
  int lock_fd_ = -1;
};

// The settings that differ and would make it another run ("optim.lr: 1e-05 -> 2e-05"), of two
// effective configs. Settings that only concern speed, output or evaluation may change between stop
// and resume.
std::vector<std::string> run_changing_differences(const nlohmann::ordered_json& before,
                                                  const nlohmann::ordered_json& now);

}  // namespace streamo::train
