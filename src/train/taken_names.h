// Whether the files of a run may have the names they will get.
#pragma once

#include <filesystem>

namespace streamo::train {

// A run that begins in a folder with files of its user says so before it works, not at its end:
// throws core::Error{kConfig} naming the first file or folder that no run has written. Nothing is
// looked at where the run has checkpoints already.
void require_free_names(const std::filesystem::path& run_dir);

}  // namespace streamo::train
