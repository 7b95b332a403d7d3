// A folder of the system's temporary ones, for what would be written into one that stays; gone with
// the object.
#pragma once

#include <filesystem>

#include "core/io/temporary.h"

namespace streamo::core {

class ScratchFolder {
 public:
  // In TMPDIR, else /tmp. Throws core::Error{kDisk}.
  ScratchFolder();
  const std::filesystem::path& path() const { return folder_.path(); }

 private:
  Temporary folder_;
};

}  // namespace streamo::core
