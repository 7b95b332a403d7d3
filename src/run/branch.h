// Going on from a checkpoint that is not the newest of its run, or of another one: the run becomes
// a branch of it. What it had done since then is kept in a folder <run>/other-branch-<n>, which is
// itself a run folder that can be named.
#pragma once

#include <filesystem>
#include <optional>

namespace streamo::run {

// The checkpoint that the run in this folder is a branch of; of one that never was, none.
std::optional<std::filesystem::path> branch_point(const std::filesystem::path& run_folder);

// Makes the run a branch of `from`, a sound checkpoint of this folder or another one, by its
// canonical path. Of a checkpoint of another folder the run begins there: all that this folder has
// is set aside, the metrics before are copied. For who alone writes in the folder. Throws
// core::Error{kDisk}.
void begin_branch(const std::filesystem::path& run_folder, const std::filesystem::path& from);

}  // namespace streamo::run
