// Model directories: what is read, written, and said about broken ones. Truth: the golden weights.
#include "streamo/model/hf_directory.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "golden.h"
#include "streamo/core/error.h"

namespace streamo::model {
namespace {

namespace fs = std::filesystem;
using torch::Tensor;

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kModel);
    return error.what();
  }
  return "no error";
}

class HfDirectory : public testing::Test {
 protected:
  std::map<std::string, Tensor> weights() const { return golden_.with_prefix("weight."); }

  // The message of loading these weights into the golden model.
  std::string message_with(const std::map<std::string, Tensor>& weights) const {
    const fs::path folder = golden_.write_directory();
    write_safetensors(folder / "model.safetensors", weights);
    return message_of([&] { load_weights(*build_model(folder / "config.json"), folder); });
  }

  // The message of building a model with the config changed.
  std::string message_with(const std::function<void(nlohmann::json&)>& change) const {
    const fs::path file = golden_.write_directory() / "config.json";
    auto config = nlohmann::json::parse(core::read_file(file));
    change(config);
    core::write_file_atomic(file, config.dump());
    return message_of([&] { build_model(file); });
  }

  void expect_golden_logits(const fs::path& folder) const {
    auto model = build_model(folder / "config.json");
    load_weights(*model, folder);
    EXPECT_LT(relative_difference(logits(*model, golden_.input()), golden_["logits"]), 1e-4);
  }

  Golden golden_;
};

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

TEST_F(HfDirectory, NamesOfTransformersModulesLoadAndAreKept) {
  std::map<std::string, Tensor> renamed;
  for (const auto& [name, tensor] : weights()) {
    if (name.starts_with("model.")) renamed["model.language_model." + name.substr(6)] = tensor;
    if (name.starts_with("visual.")) renamed["model." + name] = tensor;
    if (name.starts_with("lm_head.")) renamed[name] = tensor;
  }
  const fs::path folder = golden_.write_directory();
  write_safetensors(folder / "model.safetensors", renamed);
  expect_golden_logits(folder);

  auto model = build_model(folder / "config.json");
  load_weights(*model, folder);
  save_model_directory(*model, folder, folder / "out");
  std::vector<std::string> expected;
  for (const auto& [name, tensor] : renamed) expected.push_back(name);
  EXPECT_EQ(SafetensorsFile(folder / "out/model.safetensors").names(), expected);
}

TEST_F(HfDirectory, SavedDirectoryLoadsAndCarriesItsCompanions) {
  const fs::path folder = golden_.write_directory();
  for (const char* name : {"tokenizer.json", "vocab.txt", "chat_template.jinja"}) {
    core::write_file_atomic(folder / name, name);
  }
  for (const char* name :
       {"pytorch_model.bin", "trainer_state.json", "model.safetensors.index.json"}) {
    core::write_file_atomic(folder / name, "{}");
  }
  auto model = build_model(folder / "config.json");
  load_weights(*model, folder);
  save_model_directory(*model, folder, folder / "out");
  expect_golden_logits(folder / "out");
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(folder / "out"))
    files.push_back(entry.path().filename());
  EXPECT_THAT(files,
              testing::UnorderedElementsAre("config.json", "model.safetensors", "tokenizer.json",
                                            "vocab.txt", "chat_template.jinja"));
  EXPECT_EQ(core::read_file(folder / "out/config.json"), core::read_file(folder / "config.json"));
}

TEST_F(HfDirectory, ShardsHaveAnIndexAndLoad) {
  const fs::path folder = golden_.write_directory();
  auto model = build_model(folder / "config.json");
  load_weights(*model, folder);
  save_model_directory(*model, folder, folder / "out", {}, /*shard_bytes=*/40'000);
  EXPECT_FALSE(fs::exists(folder / "out/model.safetensors"));
  const auto index =
      nlohmann::json::parse(core::read_file(folder / "out/model.safetensors.index.json"));
  EXPECT_EQ(index["weight_map"].size(), weights().size());
  EXPECT_EQ(index["weight_map"]["lm_head.weight"], "model-00001-of-00004.safetensors");
  expect_golden_logits(folder / "out");
}

TEST_F(HfDirectory, TypeIsThatOfTheConfig) {
  const fs::path folder = golden_.write_directory();
  auto config = nlohmann::json::parse(core::read_file(folder / "config.json"));
  config["torch_dtype"] = "bfloat16";
  core::write_file_atomic(folder / "config.json", config.dump());
  auto model = build_model(folder / "config.json");
  load_weights(*model, folder);
  save_model_directory(*model, folder, folder / "out");
  const SafetensorsFile file(folder / "out/model.safetensors");
  for (const std::string& name : file.names()) {
    EXPECT_EQ(file.tensor(name).scalar_type(), torch::kBFloat16) << name;
    EXPECT_TRUE(file.tensor(name).equal(weights().at(name).to(torch::kBFloat16))) << name;
  }
}

TEST_F(HfDirectory, TiedHeadIsTheEmbeddingAndAStoredCopyIsIgnored) {
  const fs::path folder = golden_.write_directory();
  auto config = nlohmann::json::parse(core::read_file(folder / "config.json"));
  config["tie_word_embeddings"] = true;
  core::write_file_atomic(folder / "config.json", config.dump());
  auto model = build_model(folder / "config.json");
  load_weights(*model, folder);
  EXPECT_FALSE(named_weights(*model).contains("lm_head.weight"));
  EXPECT_TRUE(
      model->lm_head_weight().is_same(named_weights(*model).at("model.embed_tokens.weight")));
}

TEST_F(HfDirectory, MissingWeightIsNamed) {
  auto fewer = weights();
  fewer.erase("model.layers.1.mlp.up_proj.weight");
  EXPECT_THAT(message_with(fewer), testing::HasSubstr("model.layers.1.mlp.up_proj.weight"));
}

TEST_F(HfDirectory, UnknownWeightSuggestsTheNearest) {
  auto more = weights();
  more["model.layers.1.mlp.upp_proj.weight"] = torch::ones({1});
  EXPECT_THAT(message_with(more),
              testing::AllOf(testing::HasSubstr("upp_proj"),
                             testing::HasSubstr("model.layers.1.mlp.up_proj.weight?")));
}

TEST_F(HfDirectory, MisshapenWeightShowsBothShapes) {
  auto bent = weights();
  bent["model.norm.weight"] = torch::ones({31});
  EXPECT_THAT(message_with(bent),
              testing::AllOf(testing::HasSubstr("model.norm.weight"), testing::HasSubstr("[31]"),
                             testing::HasSubstr("[32]")));
}

TEST_F(HfDirectory, IndexThatLeavesTheFolderIsRefused) {
  const fs::path folder = golden_.write_directory();
  fs::remove(folder / "model.safetensors");
  EXPECT_THAT(message_of([&] { load_weights(*build_model(folder / "config.json"), folder); }),
              testing::HasSubstr("no model.safetensors"));
  core::write_file_atomic(folder / "model.safetensors.index.json",
                          R"({"weight_map":{"lm_head.weight":"../secret.safetensors"}})");
  EXPECT_THAT(message_of([&] { load_weights(*build_model(folder / "config.json"), folder); }),
              testing::HasSubstr("secret"));
}

TEST_F(HfDirectory, ConfigsThatCannotBeComputedAreRefused) {
  using Json = nlohmann::json;
  EXPECT_THAT(message_with([](Json& c) { c["model_type"] = "qwen2_5_v"; }),
              testing::HasSubstr("qwen2_5_vl?"));
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
