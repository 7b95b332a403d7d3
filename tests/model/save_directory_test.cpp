// Writing model directories: an untouched one comes out as it went in. Truth: the files it was read
// from, byte by byte.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/io/output.h"
#include "core/io/scratch_folder.h"
#include "model/golden.h"
#include "model/hf_directory.h"
#include "model/new_tokens.h"

namespace streamo::model {
namespace {

namespace fs = std::filesystem;
using torch::Tensor;

constexpr const char* kIndex = "model.safetensors.index.json";

class SaveDirectory : public testing::Test {
 protected:
  std::shared_ptr<VisionLanguageModel> load(const fs::path& folder) const {
    auto model = build_model(folder / "config.json");
    load_weights(*model, folder);
    return model;
  }
  void change_config(const std::function<void(nlohmann::json&)>& change) const {
    auto config = nlohmann::json::parse(core::read_file(folder_ / "config.json"));
    change(config);
    core::write_file_atomic(folder_ / "config.json", config.dump());
  }
  nlohmann::json json_of(const fs::path& path) const {
    return nlohmann::json::parse(core::read_file(path));
  }
  // Files of the folder by name; the weights among them.
  std::map<std::string, std::string> files(const fs::path& folder) const {
    std::map<std::string, std::string> contents;
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (!entry.is_regular_file() || entry.path().filename() == core::kFolderList) continue;
      contents[entry.path().filename()] = core::read_file(entry.path());
    }
    return contents;
  }
  void expect_same_files(const fs::path& out) const {
    const auto before = files(folder_), after = files(out);
    for (const auto& [name, content] : before) {
      ASSERT_TRUE(after.contains(name)) << name;
      EXPECT_TRUE(after.at(name) == content) << name;
    }
    EXPECT_EQ(after.size(), before.size());
  }

  Golden golden_;
  fs::path folder_ = golden_.write_directory();
  std::map<std::string, Tensor> weights_ = golden_.with_prefix("weight.");
};

struct Variant {
  const char* name;
  bool hub_names, shards;
  torch::ScalarType type;
};

void PrintTo(const Variant& variant, std::ostream* out) {
  *out << variant.name;
}

class Untouched : public SaveDirectory, public testing::WithParamInterface<Variant> {
 protected:
  std::string stored_name(const std::string& name) const {
    if (GetParam().hub_names || name.starts_with("lm_head.")) return name;
    return name.starts_with("model.") ? "model.language_model." + name.substr(6) : "model." + name;
  }

  // Not in the order of the names, with metadata of its own, -0, subnormal and infinite values.
  void write_source() const {
    std::vector<TensorToWrite> tensors;
    for (const auto& [name, tensor] : weights_) {
      Tensor values = tensor.to(GetParam().type, /*non_blocking=*/false, /*copy=*/true);
      values.view(-1)[0] = -0.0;
      values.view(-1)[1] = std::ldexp(1.0, GetParam().type == torch::kHalf ? -20 : -130);
      values.view(-1)[2] = INFINITY;
      tensors.insert(tensors.begin(),
                     {stored_name(name), values, safetensors_dtype(values.scalar_type())});
    }
    fs::remove(folder_ / "model.safetensors");
    const std::map<std::string, std::string> metadata = {{"format", "pt"}, {"made_by", "a test"}};
    if (!GetParam().shards) {
      write_safetensors(folder_ / "model.safetensors", tensors, metadata);
      return;
    }
    nlohmann::json map;
    int64_t bytes = 0;
    for (size_t i = 0; i < 3; ++i) {
      std::vector<TensorToWrite> shard;
      const std::string file = fmt::format("model-{:05}-of-00003.safetensors", i + 1);
      for (size_t j = i; j < tensors.size(); j += 3) {
        shard.push_back(tensors[j]);
        map[tensors[j].name] = file;
        bytes += static_cast<int64_t>(tensors[j].tensor.nbytes());
      }
      write_safetensors(folder_ / file, shard, metadata);
    }
    const nlohmann::json index = {{"metadata", {{"total_size", bytes}, {"note", "kept"}}},
                                  {"weight_map", map}};
    core::write_file_atomic(folder_ / kIndex, index.dump(2) + "\n");
  }
};

TEST_P(Untouched, IsByteIdentical) {
  write_source();
  save_model_directory(*load(folder_), folder_, folder_ / "out");
  expect_same_files(folder_ / "out");
}

// A 16-bit file trained in fp32: nothing is lost on the way.
TEST_P(Untouched, IsByteIdenticalThroughFloat) {
  write_source();
  auto model = build_model(folder_ / "config.json");
  load_weights(*model, folder_, torch::kFloat);
  save_model_directory(*model, folder_, folder_ / "out");
  expect_same_files(folder_ / "out");
}

INSTANTIATE_TEST_SUITE_P(
    Directories, Untouched,
    testing::Values(Variant{"hub_float", true, false, torch::kFloat},
                    Variant{"hub_bfloat16_shards", true, true, torch::kBFloat16},
                    Variant{"hub_half", true, false, torch::kHalf},
                    Variant{"modules_bfloat16", false, false, torch::kBFloat16},
                    Variant{"modules_half_shards", false, true, torch::kHalf}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST_F(SaveDirectory, MixedTypesStay) {
  std::map<std::string, Tensor> mixed = weights_;
  for (auto& [name, tensor] : mixed) {
    if (tensor.dim() > 1) tensor = tensor.to(torch::kBFloat16);
  }
  write_safetensors(folder_ / "model.safetensors", mixed);
  save_model_directory(*load(folder_), folder_, folder_ / "out");
  expect_same_files(folder_ / "out");
}

TEST_F(SaveDirectory, CompanionsComeAlong) {
  const std::vector<std::string> companions = {"config.json",
                                               "generation_config.json",
                                               "preprocessor_config.json",
                                               "chat_template.json",
                                               "chat_template.jinja",
                                               "tokenizer.json",
                                               "tokenizer.model",
                                               "tokenizer_config.json",
                                               "special_tokens_map.json",
                                               "vocab.json",
                                               "merges.txt",
                                               "added_tokens.json",
                                               "video_preprocessor_config.json",
                                               "processor_config.json"};
  for (const std::string& name : companions) {
    if (name != "config.json")
      core::write_file_atomic(folder_ / name, "{\"it\": \"" + name + "\"}");
  }
  for (const char* name : {"pytorch_model.bin", "trainer_state.json", "weight_layout.json",
                           "optimizer.safetensors", "model.safetensors.index.json"}) {
    core::write_file_atomic(folder_ / name, R"({"files":[],"index_metadata":null})");
  }
  save_model_directory(*load(folder_), folder_, folder_ / "out", {{"tokenizer.json", "new"}});
  auto written = files(folder_ / "out");
  EXPECT_TRUE(written.erase("model.safetensors"));
  EXPECT_EQ(written.at("tokenizer.json"), "new");
  for (const std::string& name : companions) {
    if (name != "tokenizer.json") {
      EXPECT_EQ(written[name], core::read_file(folder_ / name)) << name;
    }
  }
  EXPECT_EQ(written.size(), companions.size());
}

// An untrusted directory must not carry files of this machine into what people upload.
TEST_F(SaveDirectory, LinksThatLeadElsewhereAreNotFollowed) {
  const core::ScratchFolder elsewhere;
  core::write_file_atomic(elsewhere.path() / "credentials", "secret");
  core::write_file_atomic(folder_ / "terms.txt", "mine");
  fs::create_symlink("terms.txt", folder_ / "LICENSE.txt");
  fs::create_symlink(elsewhere.path() / "credentials", folder_ / "NOTICE.txt");
  std::vector<std::string> left_out;
  companion_files(folder_, &left_out);
  EXPECT_THAT(left_out,
              testing::ElementsAre(testing::HasSubstr("NOTICE.txt is a link that leads")));
  save_model_directory(*load(folder_), folder_, folder_ / "out");
  EXPECT_FALSE(fs::exists(folder_ / "out/NOTICE.txt"));
  EXPECT_EQ(core::read_file(folder_ / "out/LICENSE.txt"), "mine");
  fs::create_symlink(elsewhere.path() / "credentials", folder_ / "merges.txt");
  try {
    check_companion_files(folder_);
    ADD_FAILURE() << "an export without it would not load";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kModel);
    EXPECT_THAT(error.what(), testing::HasSubstr("merges.txt"));
  }
}

// The cache of the hub: snapshots/REVISION holds links to the files in blobs.
TEST_F(SaveDirectory, TheHubsCacheLoadsAndIsExportedWhole) {
  const core::ScratchFolder cache;
  const fs::path model = cache.path() / "models--Qwen--Tiny", snapshot = model / "snapshots/1a2b";
  fs::create_directories(snapshot);
  fs::create_directories(model / "blobs");
  int number = 0;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    const std::string blob = std::to_string(number++);
    fs::copy_file(entry.path(), model / "blobs" / blob);
    fs::create_symlink("../../blobs/" + blob, snapshot / entry.path().filename());
  }
  fs::create_symlink("../../../outside.txt", snapshot / "outside.txt");
  core::write_file_atomic(cache.path() / "outside.txt", "secret");
  save_model_directory(*load(snapshot), snapshot, folder_ / "out");
  expect_same_files(folder_ / "out");
  EXPECT_FALSE(fs::exists(folder_ / "out/outside.txt"));
}

TEST_F(SaveDirectory, AStoredTiedHeadIsWrittenAsTheEmbeddingItIs) {
  change_config([](nlohmann::json& c) { c["tie_word_embeddings"] = true; });
  std::map<std::string, Tensor> tied = weights_;
  tied["lm_head.weight"] = tied.at("model.embed_tokens.weight");
  write_safetensors(folder_ / "model.safetensors", tied);
  auto model = load(folder_);
  {
    const torch::NoGradGuard no_grad;
    model->lm_head_weight().mul_(2);  // trained
  }
  save_model_directory(*model, folder_, folder_ / "out");
  const SafetensorsFile file(folder_ / "out/model.safetensors");
  EXPECT_TRUE(file.tensor("lm_head.weight").equal(2 * tied.at("lm_head.weight")));
  EXPECT_TRUE(file.tensor("lm_head.weight").equal(file.tensor("model.embed_tokens.weight")));
  load(folder_ / "out");  // which compares the two
}

// A preset's directory: config.json alone says what to write.
TEST_F(SaveDirectory, WithoutWeightsTheConfigSaysTheType) {
  auto model = load(folder_);
  fs::remove(folder_ / "model.safetensors");
  for (const char* key : {"torch_dtype", "dtype"}) {
    change_config([&](nlohmann::json& c) {
      c.erase("torch_dtype");
      c[key] = "bfloat16";
    });
    save_model_directory(*model, folder_, folder_ / "out");
    const SafetensorsFile file(folder_ / "out/model.safetensors");
    for (const auto& [name, tensor] : weights_) {
      EXPECT_TRUE(file.tensor(name).equal(tensor.to(torch::kBFloat16))) << name;
    }
  }
}

TEST_F(SaveDirectory, WithoutWeightsLargeModelsAreSharded) {
  auto model = load(folder_);
  fs::remove(folder_ / "model.safetensors");
  save_model_directory(*model, folder_, folder_ / "out", {}, /*shard_bytes=*/40'000);
  EXPECT_FALSE(fs::exists(folder_ / "out/model.safetensors"));
  const auto index = json_of(folder_ / "out" / kIndex);
  EXPECT_EQ(index["weight_map"].size(), weights_.size());
  EXPECT_EQ(index["weight_map"]["lm_head.weight"], "model-00001-of-00004.safetensors");
  const auto loaded = named_weights(*load(folder_ / "out"));
  for (const auto& [name, tensor] : loaded) EXPECT_TRUE(tensor.equal(weights_.at(name))) << name;
}

// What a run does: weights in the type of training, under our names, in one file; exported later.
TEST_F(SaveDirectory, ACheckpointIsExportedLikeTheDirectoryItsRunBeganWith) {
  std::map<std::string, Tensor> half;
  for (const auto& [name, tensor] : weights_) {
    const bool language = name.starts_with("model."), head = name.starts_with("lm_head.");
    half[language ? "model.language_model." + name.substr(6)
         : head   ? name
                  : "model." + name] = tensor.to(torch::kHalf);
  }
  write_safetensors(folder_ / "model.safetensors", half);
  auto model = build_model(folder_ / "config.json");
  load_weights(*model, folder_, torch::kFloat);

  const fs::path checkpoint = folder_ / "checkpoint-1";
  fs::create_directories(checkpoint);
  write_companion_files(folder_, checkpoint, {});
  write_weight_layout(folder_, checkpoint);
  write_safetensors(checkpoint / "model.safetensors", named_weights(*model));
  save_model_directory(*load(checkpoint), checkpoint, folder_ / "out");
  expect_same_files(folder_ / "out");
}

TEST_F(SaveDirectory, ADamagedLayoutIsRefused) {
  auto model = load(folder_);
  for (const char* layout :
       {"{}",
        R"({"files":[{"name":"../a.safetensors","metadata":{},"tensors":[]}],)"
        R"("index_metadata":null})",
        R"({"files":[{"name":"a.safetensors","metadata":{},"tensors":[["x","F7"]]}],)"
        R"("index_metadata":null})"}) {
    core::write_file_atomic(folder_ / "weight_layout.json", layout);
    EXPECT_THAT(error_message([&] { save_model_directory(*model, folder_, folder_ / "out"); }),
                testing::HasSubstr("weight_layout.json"));
  }
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

TEST_F(SaveDirectory, ConfigGetsTheVocabularyThatWasGrown) {
  for (const char* generation : {"config", "config_nested"}) {
    const fs::path folder = golden_.write_directory(generation);
    auto model = load(folder);
    EXPECT_EQ(config_with_vocabulary(folder, 64), core::read_file(folder / "config.json"));
    add_token_rows(*model, std::vector<int64_t>{64, 65, 66}, 64);
    save_model_directory(*model, folder, folder / "out");
    const auto config = json_of(folder / "out/config.json");
    auto expected = json_of(folder / "config.json");
    (expected.contains("text_config") ? expected["text_config"] : expected)["vocab_size"] = 67;
    if (expected.contains("vocab_size")) expected["vocab_size"] = 67;
    EXPECT_EQ(config, expected);
    auto again = load(folder / "out");
    EXPECT_EQ(again->lm_head_weight().size(0), 67);
    for (const auto& [name, tensor] : named_weights(*again)) {
      EXPECT_TRUE(tensor.equal(named_weights(*model).at(name))) << name;
    }
  }
}

}  // namespace
}  // namespace streamo::model
