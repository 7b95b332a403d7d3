// Writes frames behind an empty header and fills that in last; reading trusts no field before its
// checksum.
#include "video/cache/frame_entry.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <type_traits>

#include "video/ffmpeg/input.h"

namespace streamo::video {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are written as they lie");

constexpr std::array<char, 8> kMagic = {'S', 'T', 'R', 'F', 'R', 'A', 'M', '1'};

struct Head {
  std::array<char, 8> magic = kMagic;
  uint64_t checksum = 0;  // of all bytes behind it, up to the first picture
  uint64_t file_bytes = 0;
  uint32_t key_bytes = 0, num_frames = 0;
  int32_t height = 0, width = 0;
};
// Of a coded picture, at most: without loss, what cannot be compressed.
constexpr uint64_t kMostBytesOfPixel = 4, kMostBytesOfHead = 4096;
constexpr size_t kUnchecked = 16;  // magic and checksum
static_assert(sizeof(Head) == 40 && std::is_trivially_copyable_v<Head>);

struct Record {
  double time = 0, pts_time = 0;
  uint64_t offset = 0, checksum = 0;
  uint32_t bytes = 0;
  uint8_t coding = 0, keyframe = 0;
  uint16_t unused = 0;
};
static_assert(sizeof(Record) == 40 && std::is_trivially_copyable_v<Record>);

uint64_t hash(std::string_view bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

// Head, key and records as one text, with the checksum in it.
std::string serialize(Head head, const std::string& key, const std::vector<Record>& records) {
  std::string text(sizeof(Head), '\0');
  text += key;
  if (!records.empty()) {
    text.append(reinterpret_cast<const char*>(records.data()), records.size() * sizeof(Record));
  }
  std::memcpy(text.data(), &head, sizeof(Head));
  head.checksum = hash(std::string_view(text).substr(kUnchecked));
  std::memcpy(text.data(), &head, sizeof(Head));
  return text;
}

bool read_exactly(int fd, char* bytes, size_t count, uint64_t offset) {
  while (count > 0) {
    const ssize_t got = ::pread(fd, bytes, count, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    bytes += got;
    offset += static_cast<uint64_t>(got);
    count -= static_cast<size_t>(got);
  }
  return true;
}

bool is_size(int64_t height, int64_t width) {
  return height > 0 && width > 0 && height * width <= kMaxPixels;
}

struct Contents {
  FrameSize size;
  std::vector<Record> records;
};

// A right checksum only tells that nobody damaged it: who may write in the folder can write
// anything.
bool could_be_written(const Contents& contents, uint64_t file_bytes) {
  const FrameSize size = contents.size;
  return size.height > 0 && size.width > 0 && int64_t{size.height} * size.width <= kMaxPixels &&
         std::all_of(contents.records.begin(), contents.records.end(), [&](const Record& record) {
           return record.offset <= file_bytes && record.bytes <= file_bytes - record.offset;
         });
}

// Nothing in the head is believed before its checksum is right, but that it fits into the file.
core::Result<Contents> read_contents(int fd, const std::string& key) {
  struct stat status = {};
  Head head;
  if (::fstat(fd, &status) != 0 || status.st_size < static_cast<off_t>(sizeof(Head)) ||
      !read_exactly(fd, reinterpret_cast<char*>(&head), sizeof(Head), 0)) {
    return core::Fault{"it has no head"};
  }
  const auto file_bytes = static_cast<uint64_t>(status.st_size);
  if (head.magic != kMagic) return core::Fault{"it does not begin like one"};
  // A sparse file is as large as it likes: what it makes us allocate is bounded.
  if (head.key_bytes != key.size()) return core::Fault{"it is another video's"};
  if (head.num_frames > kMaxPackets || !is_size(head.height, head.width))
    return core::Fault{"it claims what no video has"};
  const uint64_t head_bytes =
      sizeof(Head) + uint64_t{head.key_bytes} + uint64_t{head.num_frames} * sizeof(Record);
  if (head.file_bytes != file_bytes || head_bytes > file_bytes) {
    return core::Fault{fmt::format("it has {} bytes, not {}", file_bytes, head.file_bytes)};
  }
  std::string text(head_bytes, '\0');
  if (!read_exactly(fd, text.data(), text.size(), 0)) return core::Fault{"its head cannot be read"};
  if (hash(std::string_view(text).substr(kUnchecked)) != head.checksum) {
    return core::Fault{"the checksum of its head is wrong"};
  }
  if (std::string_view(text).substr(sizeof(Head), head.key_bytes) != key) {
    return core::Fault{"it is another video's"};
  }
  Contents contents{{head.height, head.width}, std::vector<Record>(head.num_frames)};
  if (!contents.records.empty()) {
    std::memcpy(contents.records.data(), text.data() + sizeof(Head) + head.key_bytes,
                contents.records.size() * sizeof(Record));
  }
  if (!could_be_written(contents, file_bytes)) {
    return core::Fault{"its pictures are larger than any, or lie outside of it"};
  }
  return contents;
}

core::Result<Frame> read_frame(int fd, const Record& record, FrameSize size,
                               const std::vector<uint8_t>& previous, std::string& buffer) {
  if (record.bytes >
      kMostBytesOfPixel * uint64_t(size.height) * uint64_t(size.width) + kMostBytesOfHead)
    return core::Fault{"it claims what no picture needs"};
  buffer.resize(record.bytes);
  if (!read_exactly(fd, buffer.data(), buffer.size(), record.offset)) {
    return core::Fault{"it cannot be read"};
  }
  if (hash(buffer) != record.checksum) return core::Fault{"its checksum is wrong"};
  auto rgb = decode_frame(static_cast<FrameCoding>(record.coding), buffer, previous, size);
  if (!rgb) return rgb.fault();
  Frame frame;
  frame.time = record.time;
  frame.pts_time = record.pts_time;
  frame.keyframe = record.keyframe != 0;
  frame.size = size;
  frame.rgb = *std::move(rgb);
  return frame;
}

}  // namespace

void write_entry(const std::vector<Frame>& frames, const std::string& key, const CodeFrame& code,
                 const Append& append, const Overwrite& overwrite) {
  STREAMO_CHECK(!frames.empty(), "an entry without pictures");
  Head head;
  head.key_bytes = static_cast<uint32_t>(key.size());
  head.num_frames = static_cast<uint32_t>(frames.size());
  head.height = frames.front().size.height;
  head.width = frames.front().size.width;
  std::vector<Record> records(frames.size());
  // A place for the head, which is known at the end. Until then it says nothing that is true.
  std::string text = serialize(head, key, records);
  append(std::string(text.size(), '\0'));
  uint64_t offset = text.size();
  for (size_t i = 0; i < frames.size(); ++i) {
    const Frame& frame = frames[i];
    STREAMO_CHECK(frame.index == static_cast<int64_t>(i) && frame.size == frames.front().size,
                  "an entry holds frames 0, 1, 2 ... of one size");
    const CodedFrame coded = code(i);
    append(coded.bytes);
    records[i] = {.time = frame.time,
                  .pts_time = frame.pts_time,
                  .offset = offset,
                  .checksum = hash(coded.bytes),
                  .bytes = static_cast<uint32_t>(coded.bytes.size()),
                  .coding = static_cast<uint8_t>(coded.coding),
                  .keyframe = static_cast<uint8_t>(frame.keyframe ? 1 : 0)};
    offset += coded.bytes.size();
  }
  head.file_bytes = offset;
  overwrite(serialize(head, key, records));
}

core::Result<std::vector<Frame>> read_entry(int fd, const std::string& key) {
  const core::Result<Contents> contents = read_contents(fd, key);
  if (!contents) return contents.fault();
  std::vector<Frame> frames;
  frames.reserve(contents->records.size());
  std::string buffer;
  const std::vector<uint8_t> none;
  for (const Record& record : contents->records) {
    core::Result<Frame> frame =
        read_frame(fd, record, contents->size, frames.empty() ? none : frames.back().rgb, buffer);
    if (!frame) return core::Fault{fmt::format("frame {}: {}", frames.size(), frame.reason())};
    frame->index = static_cast<int64_t>(frames.size());
    frames.push_back(*std::move(frame));
  }
  return frames;
}

bool entry_looks_sound(int fd, const std::string& key) {
  return static_cast<bool>(read_contents(fd, key));
}

}  // namespace streamo::video
