// A folder of the system's temporary ones, for what would be written into one that stays; gone with
// the object.
#pragma once

#include <fmt/format.h>
#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>

#include "streamo/core/error.h"

namespace streamo::core {

class ScratchFolder {
 public:
  // Throws core::Error{kDisk}.
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "streamo-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
      throw Error(ErrorKind::kDisk, fmt::format("cannot make a folder: {}", std::strerror(errno)),
                  name, "set TMPDIR to a folder with some space");
    }
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace streamo::core
