// The folder of a run: whose it is, and whether what is in it is this run.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace streamo::run {

// Creates the folder and holds a lock in it, so that two runs cannot write one folder.
class RunFolder {
 public:
  // `owner`: of several ranks the one that writes; the others only know where it is. Throws
  // core::Error{kDisk} when it cannot be made or written, kConfig when another process holds it.
  RunFolder(std::filesystem::path path, bool owner);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // The trained model of the run in that folder; there once the run is finished.
  static std::filesystem::path final_model(const std::filesystem::path& run) {
    return run / "final";
  }
  // A model directory in it is ours when it has the list of core::write_own_directory(). Where
  // something else has its name, require_ours() throws core::Error{kConfig}: it is not replaced.
  static bool made_by_us(const std::filesystem::path& model_dir);
  static void require_ours(const std::filesystem::path& model_dir);

 private:
  std::filesystem::path path_;
  int lock_fd_ = -1;
};

// The settings of two effective configs that differ: "optim.lr: 1e-05 -> 2e-05". One that only
// `now` has counts as having had its default before: the key is newer than that config.
std::vector<std::string> differences(const nlohmann::ordered_json& before,
                                     const nlohmann::ordered_json& now);

// Those of them that make it another run. Settings that only concern speed, output or evaluation
// may change between stop and resume; so may the number of ranks, with the micro-batches of each.
std::vector<std::string> run_changing_differences(const nlohmann::ordered_json& before,
                                                  const nlohmann::ordered_json& now);

}  // namespace streamo::run
