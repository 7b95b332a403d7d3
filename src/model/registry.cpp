#include "registry.h"

#include <nlohmann/json.hpp>

#include "qwen2_5_vl/model.h"
#include "streamo/core/error.h"

namespace streamo::model {
namespace {

struct Family {
  const char* model_type;
  std::shared_ptr<VisionLanguageModel> (*build)(const nlohmann::json&, const std::string&);
};

constexpr Family kFamilies[] = {
    {"qwen2_5_vl",
     [](const nlohmann::json& config,
        const std::string& file) -> std::shared_ptr<VisionLanguageModel> {
       return std::make_shared<qwen2_5_vl::Model>(qwen2_5_vl::parse_config(config, file));
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
