// The file that keeps the sampled pictures of one video under one key.
//
//   head      magic, checksum of the head, size of the file, counts, size of the pictures
//   key       the text whose hash is the file's name
//   records   of each picture: time, place, coding, checksum
//   pictures  as frame_codec codes them
//
// Numbers are little-endian. Every byte is covered by the head's checksum or by a picture's
// (XXH3-64), so what a reader returns is what was written.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "streamo/core/error.h"
#include "streamo/video/sampler.h"
#include "video/cache/frame_codec.h"

namespace streamo::video {

using Append = std::function<void(std::string_view)>;
using Overwrite = std::function<void(std::string_view)>;  // of the first bytes
using CodeFrame = std::function<CodedFrame(size_t)>;

// Frames 0, 1, 2 ... of one size, at least one. `code` is called once for each, in order; nothing
// but one coded picture is held.
void write_entry(const std::vector<Frame>& frames, const std::string& key, const CodeFrame& code,
                 const Append& append, const Overwrite& overwrite);

// Frames of the open file `fd`. A Fault says where the file is damaged.
core::Result<std::vector<Frame>> read_entry(int fd, const std::string& key);

// Whether head and records are sound and the file is as long as they say: no picture is read.
bool entry_looks_sound(int fd, const std::string& key);

}  // namespace streamo::video
