// What an MP4 or QuickTime file claims to hold, before FFmpeg believes it.
#pragma once

#include <cstdint>
#include <filesystem>

namespace streamo::video {

// How many packets the sample tables and fragments of all tracks claim together (ISO/IEC 14496-12,
// 8.7.3 and 8.8.8).
// FFmpeg sets 24 bytes aside for each at once, and a table of equal sizes takes no more space in
// the file for a billion than for one. 0 for other files, and for damage.
int64_t claimed_packets(const std::filesystem::path& path);

}  // namespace streamo::video
