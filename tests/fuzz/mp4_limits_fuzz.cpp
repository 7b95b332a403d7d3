// The sample tables of an MP4 file: a number of packets, whatever the boxes say of their lengths.
#include "fuzz/fuzz.h"
#include "video/ffmpeg/mp4_limits.h"

namespace streamo {

FUZZ_TARGET(mp4_limits, 5000) {
  const fuzz::InputFile file(input);
  fuzz::require(video::claimed_packets(file.path()) >= 0);
}

}  // namespace streamo
