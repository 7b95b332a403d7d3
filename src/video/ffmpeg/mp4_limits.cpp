// Walks the box tree for sample counts: FFmpeg allocates tables by these numbers before it reads a
// byte of data.
#include "video/ffmpeg/mp4_limits.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>
#include <string_view>

#include "video/ffmpeg/open_file.h"

namespace streamo::video {
namespace {

constexpr int kMaxDepth = 10;  // of boxes in boxes, as FFmpeg takes them

struct Box {
  std::string type;
  int64_t content = 0, end = 0;  // places in the file
};

// Numbers at any place of a file, through a window of it.
class FileNumbers {
 public:
  explicit FileNumbers(const std::filesystem::path& path) : file_(open_file(path)) {
    if (file_) size_ = std::max<int64_t>(::lseek(file_.get(), 0, SEEK_END), 0);
  }

  int64_t size() const { return size_; }

  // Of up to 16 bytes; shorter at the end of the file.
  std::string_view bytes(int64_t place, size_t count) {
    if (place < begin_ || place + static_cast<int64_t>(count) > begin_ + filled_) fill(place);
    const auto offset = static_cast<size_t>(place - begin_);
    return std::string_view(window_.data(), static_cast<size_t>(filled_)).substr(offset, count);
  }

  uint64_t number(int64_t place, size_t count) {
    uint64_t value = 0;
    for (const char byte : bytes(place, count)) value = value << 8 | static_cast<uint8_t>(byte);
    return value;
  }

 private:
  void fill(int64_t place) {
    begin_ = place;
    filled_ = std::max<int64_t>(::pread(file_.get(), window_.data(), window_.size(), place), 0);
  }

  FileDescriptor file_;
  int64_t size_ = 0, begin_ = 0, filled_ = 0;
  std::array<char, 1 << 14> window_{};
};

// The box at `place`, within its parent's `end`.
Box box_at(FileNumbers& file, int64_t place, int64_t end) {
  if (place + 8 > end) return {{}, end, end};
  uint64_t size = file.number(place, 4);
  Box box{std::string(file.bytes(place + 4, 4)), place + 8, end};
  if (size == 1) {  // it is behind the type, with 64 bits
    size = file.number(place + 8, 8);
    box.content += 8;
  }
  const auto header = static_cast<uint64_t>(box.content - place);
  // 0: up to the end. Less than the header is damage, behind which nothing can be found.
  if (size >= header && size < static_cast<uint64_t>(end - place)) {
    box.end = place + static_cast<int64_t>(size);
  }
  return box;
}

bool is_one_of(std::string_view type, std::initializer_list<std::string_view> types) {
  return std::find(types.begin(), types.end(), type) != types.end();
}

int64_t packets_in(FileNumbers& file, int64_t place, int64_t end, int depth) {
  int64_t packets = 0;
  while (place < end && depth < kMaxDepth) {
    const Box box = box_at(file, place, end);
    if (is_one_of(box.type, {"moov", "trak", "mdia", "minf", "stbl", "moof", "traf"})) {
      packets += packets_in(file, box.content, box.end, depth + 1);
    } else if (is_one_of(box.type, {"stsz", "stz2"})) {
      packets += static_cast<int64_t>(file.number(box.content + 8, 4));
    } else if (box.type == "trun") {
      packets += static_cast<int64_t>(file.number(box.content + 4, 4));
    }
    place = box.end;
  }
  return packets;
}

}  // namespace

int64_t claimed_packets(const std::filesystem::path& path) {
  FileNumbers file(path);
  // Such a file begins with one of these; others are not looked through.
  const Box first = box_at(file, 0, file.size());
  if (!is_one_of(first.type, {"ftyp", "styp", "moov", "moof", "mdat", "free", "skip", "wide"})) {
    return 0;
  }
  return packets_in(file, 0, file.size(), 0);
}

}  // namespace streamo::video
