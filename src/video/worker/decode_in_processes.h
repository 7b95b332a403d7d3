// Where videos and pictures are decoded: on threads of this process, or in processes of their own,
// that may read the one file they are given and do nothing else. What a file does to a decoder
// there (a crash, memory without end, code of its maker's) is a Fault of that file.
#pragma once

#include <cstdint>
#include <filesystem>

namespace streamo::video {

// From then on files are decoded by processes of `program` (streamo-decoder), as many as there are
// callers at once; they are kept for the next file. URLs and what is read once stay in this
// process. Empty: by threads, as at the start. Not to be called while something is decoded.
void decode_in_processes(std::filesystem::path program);

// streamo-decoder, which lies beside the program that runs.
std::filesystem::path decoder_program();

// Address space of a decoder process.
inline constexpr int64_t kMaxDecoderBytes = int64_t{4} << 30;

}  // namespace streamo::video
