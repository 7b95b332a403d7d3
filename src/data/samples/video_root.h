// Where the videos and pictures of annotations lie, and whether a path may lead elsewhere.
#pragma once

#include <filesystem>
#include <string>

#include "streamo/core/error.h"

namespace streamo::data {

class VideoRoot {
 public:
  // `prefix`: in front of relative paths, and then what they may not leave unless `allow_outside`.
  // Empty: `annotation_folder` is in front of them instead, and nothing is refused, since nobody
  // said where the videos are. A prefix may be a URL.
  VideoRoot(const std::filesystem::path& prefix, bool allow_outside,
            const std::filesystem::path& annotation_folder);

  // The file `path` names; an absolute path as it is. A Fault when it leads out of the prefix by
  // "..", by being absolute or through symbolic links; it need not exist. The prefix itself may be
  // a link. This guards against what an annotation file says, not against somebody who changes
  // links meanwhile. A URL is a Fault unless the prefix is one and it lies below that: who writes
  // annotations does not make this machine fetch what it can reach and they cannot.
  core::Result<std::filesystem::path> locate(const std::string& path) const;

 private:
  std::filesystem::path folder_;
  std::filesystem::path confines_;  // without links; empty: everything is allowed
  std::string url_;                 // of the prefix, with a slash at its end; empty: it is a folder
  bool allow_outside_ = false;

  core::Result<std::filesystem::path> locate_below_url(const std::string& path) const;
};

}  // namespace streamo::data
