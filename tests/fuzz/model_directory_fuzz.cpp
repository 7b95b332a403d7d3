// The JSON files of a model directory: sizes that can be a model's, or an Error{kModel}. An input
// is config.json, preprocessor_config.json and model.safetensors.index.json with zero bytes in
// between.
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/io/scratch_folder.h"
#include "fuzz/fuzz.h"
#include "model/hf_directory.h"
#include "model/qwen2_5_vl/config.h"
#include "model/weights/strict_json.h"
#include "streamo/core/error.h"

namespace streamo {
namespace {

template <typename Read>
void try_to(const Read& read) {
  try {
    read();
  } catch (const core::Error& error) {
    fuzz::require(error.kind() == core::ErrorKind::kModel);
  }
}

}  // namespace

FUZZ_TARGET(model_directory, 1000) {
  static const core::ScratchFolder scratch;
  const std::filesystem::path folder = scratch.path();
  for (const char* name :
       {"config.json", "preprocessor_config.json", "model.safetensors.index.json"})
    std::ofstream(folder / name, std::ios::binary) << fuzz::take_part(input);
  try_to([&] {
    const auto config = model::qwen2_5_vl::parse_config(
        model::read_json_object(folder / "config.json"), "config.json");
    fuzz::require(config.text.head_dim() > 0 && config.vision.hidden_size > 0);
  });
  try_to([&] { (void)model::picture_limits(folder); });
  try_to([&] { (void)model::stored_weight_names(folder); });
}

}  // namespace streamo
