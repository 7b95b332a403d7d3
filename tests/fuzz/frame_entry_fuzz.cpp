// An entry of the frame cache, written by whoever may write there: the frames that its head tells,
// or a Fault. The checksums are made right first, as most mutations would end at a wrong one.
#include <xxhash.h>

#include <cstring>

#include "fuzz/fuzz.h"
#include "video/cache/frame_entry.h"
#include "video/cache/video_fingerprint.h"

namespace streamo {
namespace {

constexpr const char* kKey = "key";
// Offsets in the head and in a record (frame_entry.cpp).
constexpr size_t kHead = 40, kChecksum = 8, kFileBytes = 16, kKeyBytes = 24, kFrames = 28;
constexpr size_t kRecord = 40, kOffset = 16, kPictureChecksum = 24, kBytes = 32;

template <typename Number>
Number number_at(const std::string& bytes, size_t at) {
  Number number;
  std::memcpy(&number, bytes.data() + at, sizeof number);
  return number;
}

void put(std::string& bytes, size_t at, uint64_t number) {
  std::memcpy(bytes.data() + at, &number, sizeof number);
}

void make_checksums_right(std::string& bytes) {
  if (bytes.size() < kHead) return;
  put(bytes, kFileBytes, bytes.size());
  const size_t records = kHead + number_at<uint32_t>(bytes, kKeyBytes);
  const size_t end = records + number_at<uint32_t>(bytes, kFrames) * kRecord;
  if (end > bytes.size()) return;
  for (size_t record = records; record < end; record += kRecord) {
    const auto offset = number_at<uint64_t>(bytes, record + kOffset);
    const auto count = number_at<uint32_t>(bytes, record + kBytes);
    if (offset <= bytes.size() && count <= bytes.size() - offset)
      put(bytes, record + kPictureChecksum, XXH3_64bits(bytes.data() + offset, count));
  }
  put(bytes, kChecksum, XXH3_64bits(bytes.data() + kFileBytes, end - kFileBytes));
}

}  // namespace

FUZZ_TARGET(frame_entry, 5000) {
  std::string bytes(input);
  make_checksums_right(bytes);
  const fuzz::InputFile file(bytes);
  const auto frames = video::read_entry(file.fd(), kKey);
  if (!frames) fuzz::require(!frames.reason().empty());
  if (frames) {
    fuzz::require(video::entry_looks_sound(file.fd(), kKey));
    for (const video::Frame& frame : *frames)
      fuzz::require(frame.rgb.size() == static_cast<size_t>(frame.size.height) *
                                            static_cast<size_t>(frame.size.width) * 3);
  }
  (void)video::read_fingerprint(file.fd(), kKey);
}

}  // namespace streamo
