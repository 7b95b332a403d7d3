// What identifies a video to the frame cache: its bytes, not its name or time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "streamo/core/error.h"
#include "video/ffmpeg/time_limit.h"

namespace streamo::video {

// What the file system says about a file without opening it. The change time moves with every
// change of content, and no program can set it back; the other fields are for file systems that
// keep it badly.
struct FileState {
  uint64_t inode = 0, bytes = 0;
  int64_t modified_ns = 0, changed_ns = 0;
  friend bool operator==(const FileState&, const FileState&) = default;
};

// nullopt for what is missing or not a regular file.
std::optional<FileState> file_state(const std::filesystem::path& path);

// Whether any change from now on will show in the state. Clocks of file systems advance in steps
// (2 s on the coarsest in use), and a file changed twice within one looks the same after both.
bool is_settled(const FileState& state);

struct ContentHash {
  std::string hex;  // XXH3-128 of all bytes
  FileState state;  // of the file while it was read
};

// Reads the whole file. A Fault when it cannot be read, changes meanwhile, or a piece of it takes
// longer than the limit, which is renewed with each. A read that never returns only run_within can
// end.
core::Result<ContentHash> hash_content(const std::filesystem::path& path, TimeLimit& limit);

// XXH3-128 as 32 hex digits.
std::string hash_text(std::string_view text);

}  // namespace streamo::video
