// The table of families: a model_type and the function that builds it.
#include "model/registry.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "model/image_processor.h"
#include "model/qwen2_5_vl/model.h"
#include "streamo/core/error.h"

namespace streamo::model {
namespace {

namespace fs = std::filesystem;

struct Family {
  const char* model_type;
  std::shared_ptr<VisionLanguageModel> (*build)(const nlohmann::json&, const std::string&);
};

constexpr Family kFamilies[] = {
    {"qwen2_5_vl",
     [](const nlohmann::json& config,
        const std::string& file) -> std::shared_ptr<VisionLanguageModel> {
       const qwen2_5_vl::Config parsed = qwen2_5_vl::parse_config(config, file);
       if (const auto processor = find_image_processor(fs::path(file).parent_path())) {
         qwen2_5_vl::check_processor(processor->settings, processor->file, parsed);
       }
       return std::make_shared<qwen2_5_vl::Model>(parsed);
     }},
};

}  // namespace

std::shared_ptr<VisionLanguageModel> build_family(const nlohmann::json& config,
                                                  const std::string& file) {
  std::string known;
  const nlohmann::json model_type = config.value("model_type", nlohmann::json());
  for (const Family& family : kFamilies) {
    if (model_type == family.model_type) return family.build(config, file);
    known += (known.empty() ? "" : ", ") + std::string(family.model_type);
  }
  throw core::Error(core::ErrorKind::kModel,
                    "model_type " + model_type.dump() + " is not supported", file,
                    "give a directory of " + known);
}

}  // namespace streamo::model
