// The tiny random Qwen2.5-VL whose numbers transformers computed
// (tests/oracle/qwen2_5_vl_golden.py).
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/io/file.h"
#include "model/hf_directory.h"
#include "model/weights/safetensors.h"
#include "streamo/core/error.h"

namespace streamo::model {

// A folder of its own for each test.
inline std::filesystem::path fresh_folder() {
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  std::string name = std::string("streamo_") + test->test_suite_name() + "_" + test->name();
  for (char& letter : name) letter = letter == '/' ? '_' : letter;
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

// The message of the core::Error{kModel} that `call` throws.
inline std::string error_message(const std::function<void()>& call) {
  try {
    call();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kModel);
    return error.what();
  }
  return "no error";
}

class Golden {
 public:
  torch::Tensor operator[](const std::string& name) const { return file_.tensor(name); }

  std::map<std::string, torch::Tensor> with_prefix(const std::string& prefix) const {
    std::map<std::string, torch::Tensor> found;
    for (const std::string& name : file_.names()) {
      if (name.starts_with(prefix)) found.emplace(name.substr(prefix.size()), file_.tensor(name));
    }
    return found;
  }

  // config.json and model.safetensors, as a user would have them. `config`: "config" (the shape of
  // published files) or "config_nested" (that of transformers 5).
  std::filesystem::path write_directory(const std::string& config = "config") const {
    const std::filesystem::path folder = fresh_folder();
    core::write_file_atomic(folder / "config.json", file_.metadata().at(config));
    write_safetensors(folder / "model.safetensors", with_prefix("weight."));
    return folder;
  }

  std::shared_ptr<VisionLanguageModel> load(const std::string& config = "config") const {
    const std::filesystem::path folder = write_directory(config);
    auto model = build_model(folder / "config.json");
    load_weights(*model, folder);
    return model;
  }

  std::vector<ImageGrid> grid() const {
    std::vector<ImageGrid> grid;
    const torch::Tensor sizes = file_.tensor("image_grid_thw");
    for (int64_t i = 0; i < sizes.size(0); ++i) {
      grid.push_back(
          {sizes[i][0].item<int64_t>(), sizes[i][1].item<int64_t>(), sizes[i][2].item<int64_t>()});
    }
    return grid;
  }

  // Both samples, packed.
  ModelInput input() const {
    const int64_t first = file_.tensor("sample_lengths")[0].item<int64_t>();
    return {file_.tensor("input_ids"),
            file_.tensor("position_ids"),
            {0, first, file_.tensor("input_ids").size(0)},
            file_.tensor("pixel_values"),
            grid()};
  }

  // One of the two samples alone; each has two pictures.
  ModelInput sample(int64_t number) const {
    const ModelInput both = input();
    const auto half = static_cast<size_t>(number);
    const int64_t begin = both.cu_seqlens[half], end = both.cu_seqlens[half + 1];
    ModelInput one{both.input_ids.slice(0, begin, end),
                   both.position_ids.slice(1, begin, end),
                   {0, end - begin},
                   {},
                   {}};
    int64_t patch = 0;
    for (size_t i = 0; i < both.image_grid.size(); ++i) {
      const int64_t patches = both.image_grid[i].patches();
      if (i / 2 == half) {
        one.image_grid.push_back(both.image_grid[i]);
        const torch::Tensor pixels = both.pixel_values.slice(0, patch, patch + patches);
        one.pixel_values =
            one.pixel_values.defined() ? at::cat({one.pixel_values, pixels}) : pixels;
      }
      patch += patches;
    }
    return one;
  }

 private:
  SafetensorsFile file_{std::filesystem::path(STREAMO_SOURCE_DIR) /
                        "tests/golden/qwen2_5_vl.safetensors"};
};

// Largest difference, as a part of the largest magnitude expected.
inline double relative_difference(const torch::Tensor& actual, const torch::Tensor& expected) {
  if (actual.sizes() != expected.sizes()) return INFINITY;
  return ((actual - expected).abs().max() / expected.abs().max()).item<double>();
}

// Logits of all positions, and the mean cross-entropy the golden gradients belong to.
inline torch::Tensor logits(VisionLanguageModel& model, const ModelInput& input) {
  return at::linear(model.forward(input), model.lm_head_weight());
}

}  // namespace streamo::model
