// What the commands that read a checkpoint ask of it first.
#pragma once

#include <filesystem>

#include "checkpoint/snapshot.h"
#include "streamo/core/error.h"

namespace streamo::app {

// By its name where it is damaged: then its manifest may be what is missing.
inline bool is_checkpoint(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.has_filename() ? path : path.parent_path();
  return folder.filename().string().starts_with("checkpoint-") ||
         std::filesystem::exists(path / "manifest.json");
}

// Throws core::Error{kCheckpoint} when all of it is not as it was saved.
inline void require_sound_checkpoint(const std::filesystem::path& path) {
  const auto sound = checkpoint::verify_snapshot(path);
  if (sound) return;
  throw core::Error(core::ErrorKind::kCheckpoint, sound.reason(), path.string(),
                    "choose another checkpoint");
}

}  // namespace streamo::app
