#include "source_note.h"

#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "streamo/core/error.h"

namespace streamo::video {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are written as they lie");

struct Stored {
  std::array<char, 8> magic = {'S', 'T', 'R', 'N', 'O', 'T', 'E', '1'};
  uint64_t checksum = 0;  // of what follows, then the key
  std::array<char, 32> content = {};
  double start = 0, duration = 0, frame_rate = 0;
  int64_t num_samples = 0;
  int32_t height = 0, width = 0;
};
constexpr size_t kUnchecked = 16;  // magic and checksum
static_assert(sizeof(Stored) == 88 && std::is_trivially_copyable_v<Stored>);

uint64_t checksum_of(const Stored& stored, std::string_view key) {
  const auto* bytes = reinterpret_cast<const char*>(&stored);
  return XXH3_64bits_withSeed(bytes + kUnchecked, sizeof(Stored) - kUnchecked,
                              XXH3_64bits(key.data(), key.size()));
}

}  // namespace

std::string write_note(const SourceNote& note, std::string_view key) {
  Stored stored;
  STREAMO_CHECK(note.content.size() == stored.content.size(), "not a hash: " + note.content);
  std::copy(note.content.begin(), note.content.end(), stored.content.begin());
  stored.start = note.info.start;
  stored.duration = note.info.duration;
  stored.frame_rate = note.info.frame_rate;
  stored.num_samples = note.info.num_samples;
  stored.height = note.info.size.height;
  stored.width = note.info.size.width;
  stored.checksum = checksum_of(stored, key);
  return {reinterpret_cast<const char*>(&stored), sizeof(Stored)};
}

std::optional<SourceNote> read_note(int fd, std::string_view key) {
  std::array<char, sizeof(Stored) + 1> bytes{};  // one more would show a file that is too long
  if (::pread(fd, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(sizeof(Stored))) {
    return std::nullopt;
  }
  Stored stored;
  const std::array<char, 8> magic = stored.magic;
  std::memcpy(&stored, bytes.data(), sizeof(Stored));
  if (stored.magic != magic || stored.checksum != checksum_of(stored, key)) return std::nullopt;
  SourceNote note;
  note.content.assign(stored.content.begin(), stored.content.end());
  note.info = {.start = stored.start,
               .duration = stored.duration,
               .frame_rate = stored.frame_rate,
               .size = {stored.height, stored.width},
               .num_samples = stored.num_samples};
  return note;
}

}  // namespace streamo::video
