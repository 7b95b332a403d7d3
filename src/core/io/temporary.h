// Files and folders that are not ready yet. Their names are random, so that nobody can have laid a
// link there, and carry a mark, so that what a killed process left is told from all other files.
#pragma once

#include <filesystem>

namespace streamo::core {

// A name for something beside its final place; what is there goes with the object. Also when a
// signal ends the process (remove_own_temporaries).
class Temporary {
 public:
  explicit Temporary(const std::filesystem::path& folder);
  ~Temporary();
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void release();  // it has another name now

 private:
  std::filesystem::path path_;
};

// Opens the file for writing, which must not exist, not even as a link. Throws Error{kDisk} that
// names `final_path`.
int create_exclusively(const Temporary& temporary, const std::filesystem::path& final_path);

// Deletes what processes that were killed have left in `folder` (not below it): of this machine if
// they are gone, of others after an hour.
void remove_temporaries(const std::filesystem::path& folder);

// Those of this process, now: it is about to end without running destructors.
void remove_own_temporaries() noexcept;

}  // namespace streamo::core
