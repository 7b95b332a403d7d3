// The files that are decoded, opened in one place: a decoder process can open none, and has the one
// that it was given.
#pragma once

#include <filesystem>

#include "video/ffmpeg/file_descriptor.h"

namespace streamo::video {

// A regular file, for reading by pread() only: what is given is one place in the file for all.
// Never waits, as on a pipe without a writer. Without a descriptor: `errno` says why.
FileDescriptor open_file(const std::filesystem::path& path);

// From then on open_file() opens nothing else.
void open_only(std::filesystem::path path, FileDescriptor file);

}  // namespace streamo::video
