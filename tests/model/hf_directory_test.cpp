// config.json and presets: what is built of them, and what is said about broken ones.
#include "model/hf_directory.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "model/golden.h"
#include "streamo/core/error.h"

namespace streamo::model {
namespace {

namespace fs = std::filesystem;
using torch::Tensor;

class HfDirectory : public testing::Test {
 protected:
  std::map<std::string, Tensor> weights() const { return golden_.with_prefix("weight."); }

  // The message of building a model with the config changed.
  std::string message_with(const std::function<void(nlohmann::json&)>& change) const {
    const fs::path file = golden_.write_directory() / "config.json";
    auto config = nlohmann::json::parse(core::read_file(file));
    change(config);
    core::write_file_atomic(file, config.dump());
    return error_message([&] { build_model(file); });
  }

  Golden golden_;
};

// What transformers 5 writes is read; what would make other pictures of the files is not.
TEST_F(HfDirectory, ProcessorsOfOtherPicturesAreRefused) {
  const fs::path folder = golden_.write_directory(), file = folder / "preprocessor_config.json";
  const nlohmann::json published = {{"do_normalize", true},
                                    {"image_mean", {0.48145466, 0.4578275, 0.40821073}},
                                    {"image_std", {0.26862954, 0.26130258, 0.27577711}},
                                    {"max_pixels", 12845056},
                                    {"merge_size", 2},
                                    {"min_pixels", 3136},
                                    {"patch_size", 4},  // as the golden model has it
                                    {"resample", 3},
                                    {"rescale_factor", 0.00392156862745098},
                                    {"temporal_patch_size", 2}};
  const auto message = [&](const char* key, const nlohmann::json& value) {
    nlohmann::json changed = published;
    if (key != nullptr) changed[key] = value;
    core::write_file_atomic(file, changed.dump());
    return error_message([&] { build_model(folder / "config.json"); });
  };
  EXPECT_EQ(message(nullptr, {}), "no error");
  EXPECT_EQ(message("image_mean", nullptr), "no error");
  // As transformers 5 saves it: nested, in the file of the whole processor.
  nlohmann::json nested = {{"processor_class", "Qwen2_5_VLProcessor"},
                           {"image_processor", published}};
  nested["image_processor"]["merge_size"] = 1;
  core::write_file_atomic(folder / "processor_config.json", nested.dump());
  EXPECT_THAT(message(nullptr, {}), testing::HasSubstr("merge_size is 1"));
  EXPECT_THAT(message(nullptr, {}), testing::HasSubstr("processor_config.json"));
  fs::remove(folder / "processor_config.json");
  EXPECT_THAT(message("image_mean", {0.5, 0.5, 0.5}),
              testing::HasSubstr("image_mean is [0.5,0.5,0.5], only [0.48145466,"));
  EXPECT_THAT(message("patch_size", 16),
              testing::HasSubstr("patch_size is 16, only 4 is supported"));
  EXPECT_THAT(message("merge_size", 1), testing::HasSubstr("merge_size is 1"));
  EXPECT_THAT(message("resample", 2), testing::HasSubstr("resample is 2"));
  EXPECT_THAT(message("do_normalize", false), testing::HasSubstr("do_normalize is false"));
}

TEST_F(HfDirectory, NamesAreThePublishedOnes) {
  auto model = golden_.load();
  std::vector<std::string> names, expected;
  for (const auto& [name, tensor] : named_weights(*model)) names.push_back(name);
  for (const auto& [name, tensor] : weights()) expected.push_back(name);
  EXPECT_EQ(names, expected);
  EXPECT_THAT(names, testing::IsSupersetOf(
                         {"visual.patch_embed.proj.weight", "visual.blocks.0.attn.qkv.weight",
                          "visual.merger.ln_q.weight", "visual.merger.mlp.0.weight",
                          "visual.merger.mlp.2.bias", "model.embed_tokens.weight",
                          "model.layers.1.self_attn.q_proj.weight", "lm_head.weight"}));
}

TEST_F(HfDirectory, ConfigsThatCannotBeComputedAreRefused) {
  using Json = nlohmann::json;
  EXPECT_THAT(
      message_with([](Json& c) { c["model_type"] = "qwen2_5_v"; }),
      testing::AllOf(testing::HasSubstr("\"qwen2_5_v\""), testing::HasSubstr("qwen2_5_vl")));
  EXPECT_THAT(message_with([](Json& c) { c["model_type"] = "llama"; }),
              testing::HasSubstr("model_type \"llama\" is not supported"));
  EXPECT_THAT(message_with([](Json& c) { c["model_type"] = 5; }),
              testing::HasSubstr("model_type 5 is not supported"));
  EXPECT_THAT(message_with([](Json& c) { c.erase("model_type"); }),
              testing::HasSubstr("model_type null is not supported"));
  EXPECT_THAT(message_with([](Json& c) { c.erase("hidden_size"); }),
              testing::HasSubstr("hidden_size"));
  EXPECT_THAT(message_with([](Json& c) { c["vocab_size"] = "many"; }),
              testing::HasSubstr("vocab_size"));
  EXPECT_THAT(message_with([](Json& c) { c["use_sliding_window"] = true; }),
              testing::HasSubstr("use_sliding_window"));
  EXPECT_THAT(message_with([](Json& c) { c["rope_scaling"]["type"] = "yarn"; }),
              testing::HasSubstr("yarn"));
  EXPECT_THAT(message_with([](Json& c) {
                c["rope_scaling"]["mrope_section"] = {1, 1, 1};
              }),
              testing::HasSubstr("mrope_section"));
  EXPECT_THAT(message_with([](Json& c) { c["num_key_value_heads"] = 3; }),
              testing::HasSubstr("num_key_value_heads"));
  EXPECT_THAT(message_with([](Json& c) { c["vision_config"]["out_hidden_size"] = 8; }),
              testing::HasSubstr("out_hidden_size"));
}

// What would be computed in another way than it was trained, or not at all.
TEST_F(HfDirectory, ConfigValuesOutOfRangeAreRefusedByTheirKey) {
  using Json = nlohmann::json;
  const std::vector<std::pair<const char*, std::function<void(Json&)>>> cases = {
      {"hidden_size is 0", [](Json& c) { c["hidden_size"] = 0; }},
      {"hidden_size is -32", [](Json& c) { c["hidden_size"] = -32; }},
      {"hidden_size is 32.5", [](Json& c) { c["hidden_size"] = 32.5; }},
      {"hidden_size is true", [](Json& c) { c["hidden_size"] = true; }},
      {"vocab_size is 9000000000000000000",
       [](Json& c) {
         c["vocab_size"] = 9e18;
         c["vocab_size"] = int64_t{9'000'000'000'000'000'000};
       }},
      {"num_hidden_layers is 1000000", [](Json& c) { c["num_hidden_layers"] = 1'000'000; }},
      {"depth is 0", [](Json& c) { c["vision_config"]["depth"] = 0; }},
      {"num_heads is 0", [](Json& c) { c["vision_config"]["num_heads"] = 0; }},
      {"spatial_merge_size is 16777216",
       [](Json& c) { c["vision_config"]["spatial_merge_size"] = 1 << 24; }},
      {"patch_size is 0", [](Json& c) { c["vision_config"]["patch_size"] = 0; }},
      {"fullatt_block_indexes has 3",
       [](Json& c) { c["vision_config"]["fullatt_block_indexes"] = {3}; }},
      {"hidden_act is \"gelu\"", [](Json& c) { c["hidden_act"] = "gelu"; }},
      {"hidden_act is \"quick_gelu\"",
       [](Json& c) { c["vision_config"]["hidden_act"] = "quick_gelu"; }},
      {"head_dim is 16", [](Json& c) { c["head_dim"] = 16; }},
      {"layer_types",
       [](Json& c) {
         c["layer_types"] = {"full_attention", "sliding_attention"};
       }},
      {"mrope_section has a section of -4",
       [](Json& c) {
         c["rope_scaling"]["mrope_section"] = {-4, 4, 4};
       }},
      {"mrope_section must be three",
       [](Json& c) {
         c["rope_scaling"]["mrope_section"] = {2, 2};
       }},
      {"image_token_id is 64", [](Json& c) { c["image_token_id"] = 64; }},
      {"quantised",
       [](Json& c) {
         c["quantization_config"] = {{"bits", 4}};
       }},
      {"vision_config is missing", [](Json& c) { c["vision_config"] = 3; }},
      {"text_config is no object", [](Json& c) { c["text_config"] = 3; }},
      {"vocab_size is [[", [](Json& c) { c["vocab_size"] = {{{1}}}; }},
  };
  for (const auto& [expected, change] : cases) {
    EXPECT_THAT(message_with(change), testing::HasSubstr(expected));
  }
}

TEST_F(HfDirectory, HostileConfigFilesAreRefused) {
  const fs::path file = golden_.write_directory() / "config.json";
  const auto message = [&](const std::string& content) {
    core::write_file_atomic(file, content);
    return error_message([&] { build_model(file); });
  };
  EXPECT_THAT(message("{"), testing::HasSubstr("not readable JSON: line 1, column 1"));
  EXPECT_THAT(message("[]"), testing::HasSubstr("not a JSON object"));
  EXPECT_THAT(message("{\"vocab_size\":" + std::string(1'000'000, '[')),
              testing::HasSubstr("nested deeper"));
  EXPECT_THAT(message(R"({"model_type":"qwen2_5_vl","model_type":"qwen2_vl"})"),
              testing::HasSubstr("\"model_type\" is given twice"));
  fs::remove(file);
  EXPECT_THAT(error_message([&] { build_model(file); }), testing::HasSubstr("no such file"));
}

// A size that no machine has, within the range of each key.
TEST_F(HfDirectory, AModelThatCannotBeHeldIsNoCrash) {
  const fs::path file = golden_.write_directory() / "config.json";
  auto config = nlohmann::json::parse(core::read_file(file));
  config["intermediate_size"] = 1 << 24;
  config["hidden_size"] = config["vision_config"]["out_hidden_size"] = 1 << 22;
  config["rope_scaling"]["mrope_section"] = {1 << 17, 1 << 17, 1 << 18};
  core::write_file_atomic(file, config.dump());
  try {
    build_model(file);
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kMemory) << error.what();
  }
}

TEST_F(HfDirectory, TheTokenizerMustBelongToTheConfig) {
  const fs::path folder = golden_.write_directory();
  const PresetTokens right = {.vocab_size = 64,
                              .image_token_id = 60,
                              .video_token_id = 61,
                              .vision_start_token_id = 62,
                              .vision_end_token_id = 63};
  check_tokenizer(folder, right);
  PresetTokens other = right;
  other.image_token_id = 59;
  EXPECT_THAT(error_message([&] { check_tokenizer(folder, other); }),
              testing::AllOf(testing::HasSubstr("image_token_id is 60"),
                             testing::HasSubstr("<|image_pad|> the id 59"),
                             testing::HasSubstr("another model")));
  PresetTokens larger = right;
  larger.vocab_size = 65;
  EXPECT_THAT(error_message([&] { check_tokenizer(folder, larger); }),
              testing::AllOf(testing::HasSubstr("vocab_size is 64"),
                             testing::HasSubstr("largest id of the tokenizer is 64")));
}

class Preset : public testing::Test {
 protected:
  fs::path write() const {
    const fs::path folder = fresh_folder();
    write_preset("example",
                 {.vocab_size = 300,
                  .image_token_id = 290,
                  .video_token_id = 291,
                  .vision_start_token_id = 288,
                  .vision_end_token_id = 289,
                  .eos_token_id = 287,
                  .pad_token_id = 286},
                 folder);
    return folder;
  }
};

TEST_F(Preset, BuildsASmallQwen) {
  const fs::path folder = write();
  auto model = build_model(folder / "config.json");
  EXPECT_EQ(model->lm_head_weight().size(0), 300);
  EXPECT_EQ(model->pixels_per_token_side(), 28);
  for (const char* name : {"preprocessor_config.json", "generation_config.json"}) {
    EXPECT_TRUE(nlohmann::json::parse(core::read_file(folder / name)).is_object()) << name;
  }
}

TEST_F(Preset, VisionTowerAndDecoderStartWithTheirOwnSpread) {
  const fs::path file = write() / "config.json";
  auto config = nlohmann::json::parse(core::read_file(file));
  config["initializer_range"] = 0.05;
  config["vision_config"]["initializer_range"] = 0.01;
  core::write_file_atomic(file, config.dump());
  auto model = build_model(file);
  initialize_weights(*model, 1);
  const auto weights = named_weights(*model);
  const auto spread = [&](const char* name) { return weights.at(name).std().item<double>(); };
  EXPECT_NEAR(spread("model.layers.0.mlp.up_proj.weight"), 0.05, 0.001);
  EXPECT_NEAR(spread("visual.patch_embed.proj.weight"), 0.01, 0.0002);
}

TEST_F(Preset, InitialWeightsAreAFunctionOfTheSeed) {
  const fs::path folder = write();
  auto a = build_model(folder / "config.json"), b = build_model(folder / "config.json"),
       c = build_model(folder / "config.json");
  initialize_weights(*a, 1);
  initialize_weights(*b, 1);
  initialize_weights(*c, 2);
  const auto wa = named_weights(*a), wb = named_weights(*b), wc = named_weights(*c);
  for (const auto& [name, tensor] : wa) EXPECT_TRUE(tensor.equal(wb.at(name))) << name;
  const char* embedding = "model.embed_tokens.weight";
  EXPECT_FALSE(wa.at(embedding).equal(wc.at(embedding)));
  EXPECT_NEAR(wa.at(embedding).std().item<double>(), 0.07, 0.001);
  EXPECT_TRUE(wa.at("model.norm.weight").equal(torch::ones_like(wa.at("model.norm.weight"))));
  EXPECT_EQ(wa.at("visual.blocks.0.attn.qkv.bias").abs().max().item<float>(), 0.0F);
}

}  // namespace
}  // namespace streamo::model
