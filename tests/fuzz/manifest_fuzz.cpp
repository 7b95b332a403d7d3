// A checkpoint whose manifest.json or trainer_state.json holds anything: sound as it was written,
// or passed over with a reason. An input is the manifest, a zero byte, and the state.
#include <fstream>

#include "checkpoint/snapshot.h"
#include "core/io/scratch_folder.h"
#include "fuzz/fuzz.h"

namespace streamo {

FUZZ_TARGET(manifest, 600) {
  static const core::ScratchFolder scratch;
  const auto folder = scratch.path() / "checkpoint-1";
  std::filesystem::create_directory(folder);
  std::ofstream(folder / "manifest.json", std::ios::binary) << fuzz::take_part(input);
  std::ofstream(folder / "trainer_state.json", std::ios::binary) << input;
  for (const char* name : {"model.safetensors", "optimizer.safetensors"})
    std::ofstream(folder / name, std::ios::binary) << std::string_view("\x02\0\0\0\0\0\0\0{}", 10);
  const auto sound = checkpoint::verify_snapshot(folder);
  if (!sound) return fuzz::require(!sound.reason().empty());
  try {
    checkpoint::load_snapshot(folder);
  } catch (const core::Error& error) {
    fuzz::require(error.kind() == core::ErrorKind::kCheckpoint);
  }
}

}  // namespace streamo
