// Creates a private folder in the system's directory for temporary files.
#include "core/io/scratch_folder.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "streamo/core/error.h"

namespace streamo::core {
namespace {

std::filesystem::path place_for_temporaries() {
  for (const char* name : {"TMPDIR", "TMP", "TEMP", "TEMPDIR"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return std::filesystem::absolute(value);
  }
  return "/tmp";
}

}  // namespace

ScratchFolder::ScratchFolder() : folder_(place_for_temporaries()) {
  remove_temporaries(path().parent_path());
  if (::mkdir(path().c_str(), 0700) == 0) return;
  throw Error(ErrorKind::kDisk,
              std::string("cannot make a folder for temporary files: ") + std::strerror(errno),
              path().parent_path().string(), "set TMPDIR to a folder with some space");
}

}  // namespace streamo::core
