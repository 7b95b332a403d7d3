// The sample tables of an MP4 file: a number of packets, whatever the boxes say of their lengths.
#include "fuzz.h"
#include "video/mp4_claims.h"

namespace streamo {

FUZZ_TARGET(mp4_claims, 5000) {
  const fuzz::InputFile file(input);
  fuzz::require(video::claimed_packets(file.path()) >= 0);
}

}  // namespace streamo
