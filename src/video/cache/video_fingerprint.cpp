// One fixed-size struct whose checksum is seeded with the key's hash.
#include "video/cache/video_fingerprint.h"

#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "streamo/core/error.h"

namespace streamo::video {
namespace {

// VideoInfo as it lies in memory: the key names the version (frame_cache.cpp) and the processor.
struct Stored {
  std::array<char, 8> magic = {'S', 'T', 'R', 'N', 'O', 'T', 'E', '1'};
  uint64_t checksum = 0;  // of what follows, then the key
  std::array<char, 32> content = {};
  VideoInfo info;
};
constexpr size_t kUnchecked = 16;  // magic and checksum
static_assert(std::is_trivially_copyable_v<Stored>);

uint64_t fingerprint_checksum(const Stored& stored, std::string_view key) {
  const auto* bytes = reinterpret_cast<const char*>(&stored);
  return XXH3_64bits_withSeed(bytes + kUnchecked, sizeof(Stored) - kUnchecked,
                              XXH3_64bits(key.data(), key.size()));
}

}  // namespace

std::string write_fingerprint(const VideoFingerprint& note, std::string_view key) {
  Stored stored;
  STREAMO_CHECK(note.content.size() == stored.content.size(), "not a hash: " + note.content);
  std::copy(note.content.begin(), note.content.end(), stored.content.begin());
  stored.info = note.info;
  stored.checksum = fingerprint_checksum(stored, key);
  return {reinterpret_cast<const char*>(&stored), sizeof(Stored)};
}

std::optional<VideoFingerprint> read_fingerprint(int fd, std::string_view key) {
  std::array<char, sizeof(Stored) + 1> bytes{};  // one more would show a file that is too long
  if (::pread(fd, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(sizeof(Stored))) {
    return std::nullopt;
  }
  Stored stored;
  const std::array<char, 8> magic = stored.magic;
  std::memcpy(&stored, bytes.data(), sizeof(Stored));
  if (stored.magic != magic || stored.checksum != fingerprint_checksum(stored, key))
    return std::nullopt;
  VideoFingerprint note;
  note.content.assign(stored.content.begin(), stored.content.end());
  note.info = stored.info;
  return note;
}

}  // namespace streamo::video
