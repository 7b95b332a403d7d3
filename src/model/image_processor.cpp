// Reads the image processor's settings of a model directory (get_image_processor_dict of
// transformers 5, src/transformers/image_processing_base.py).
#include "model/image_processor.h"

#include "model/weights/strict_json.h"
#include "streamo/core/error.h"

namespace streamo::model {

std::optional<ImageProcessor> find_image_processor(const std::filesystem::path& model_dir) {
  constexpr const char* kNested = "image_processor";
  const auto nested = model_dir / "processor_config.json";
  if (std::filesystem::exists(nested)) {
    const nlohmann::json processor = read_json_object(nested);
    if (processor.contains(kNested)) {
      if (processor[kNested].is_object())
        return ImageProcessor{processor[kNested], nested.string()};
      throw core::Error(core::ErrorKind::kModel, "image_processor is no object", nested.string(),
                        "the file is damaged");
    }
  }
  const auto flat = model_dir / "preprocessor_config.json";
  if (!std::filesystem::exists(flat)) return std::nullopt;
  return ImageProcessor{read_json_object(flat), flat.string()};
}

}  // namespace streamo::model
