// Reading the weights of a model directory: both namings, shards, types; and what is said about
// directories that are not what they say. Truth: the golden weights, compared bit by bit.
#include <fstream>
#include <nlohmann/json.hpp>

#include "model/golden.h"
#include "model/hf_directory.h"

namespace streamo::model {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using torch::Tensor;
using Weights = std::map<std::string, Tensor>;

constexpr const char* kIndex = "model.safetensors.index.json";

class LoadWeights : public testing::Test {
 protected:
  LoadWeights() { fs::remove(folder_ / "model.safetensors"); }

  void write(const std::string& file, const Weights& weights) const {
    write_safetensors(folder_ / file, weights);
  }
  void change_config(const std::function<void(nlohmann::json&)>& change) const {
    auto config = nlohmann::json::parse(core::read_file(folder_ / "config.json"));
    change(config);
    core::write_file_atomic(folder_ / "config.json", config.dump());
  }
  // Half of the weights in a file each, by their number, and the index.
  void write_shards() const {
    Weights halves[2];
    nlohmann::json map;
    size_t i = 0;
    for (const auto& [name, tensor] : weights_) {
      halves[i % 2].emplace(name, tensor);
      map[name] = kShards[i++ % 2];
    }
    for (i = 0; i < 2; ++i) write(kShards[i], halves[i]);
    write_index(map);
  }
  void write_index(const nlohmann::json& weight_map) const {
    core::write_file_atomic(folder_ / kIndex, nlohmann::json{{"weight_map", weight_map}}.dump());
  }
  nlohmann::json weight_map() const {
    return nlohmann::json::parse(core::read_file(folder_ / kIndex))["weight_map"];
  }

  std::shared_ptr<VisionLanguageModel> load(
      std::optional<torch::ScalarType> dtype = std::nullopt) const {
    auto model = build_model(folder_ / "config.json");
    load_weights(*model, folder_, dtype);
    return model;
  }
  std::string message() const {
    return error_message([&] { load(); });
  }
  // The same complaint must come before a byte of the weights is read.
  std::string message_of_check() const {
    return error_message([&] { check_weights(*build_model(folder_ / "config.json"), folder_); });
  }

  void expect_weights(VisionLanguageModel& model) const {
    const Weights loaded = named_weights(model);
    ASSERT_EQ(loaded.size(), weights_.size());
    for (const auto& [name, tensor] : loaded) EXPECT_TRUE(tensor.equal(weights_.at(name))) << name;
  }

  static constexpr const char* kShards[] = {"model-00001-of-00002.safetensors",
                                            "model-00002-of-00002.safetensors"};
  Golden golden_;
  fs::path folder_ = golden_.write_directory();
  Weights weights_ = golden_.with_prefix("weight.");
};

Weights renamed(const Weights& weights) {
  Weights result;
  for (const auto& [name, tensor] : weights) {
    const bool language = name.starts_with("model."), head = name.starts_with("lm_head.");
    result[language ? "model.language_model." + name.substr(6)
           : head   ? name
                    : "model." + name] = tensor;
  }
  return result;
}

TEST_F(LoadWeights, BothNamingsOfBothConfigGenerations) {
  for (const char* config : {"config", "config_nested"}) {
    for (const bool rename : {false, true}) {
      const fs::path folder = golden_.write_directory(config);
      write_safetensors(folder / "model.safetensors", rename ? renamed(weights_) : weights_);
      auto model = build_model(folder / "config.json");
      load_weights(*model, folder);
      expect_weights(*model);
      EXPECT_LT(relative_difference(logits(*model, golden_.input()), golden_["logits"]), 1e-4);
    }
  }
}

TEST_F(LoadWeights, Shards) {
  write_shards();
  expect_weights(*load());
}

TEST_F(LoadWeights, EachTypeAsStoredOrAsAskedFor) {
  Weights mixed;
  const torch::ScalarType types[] = {torch::kFloat, torch::kBFloat16, torch::kHalf};
  size_t i = 0;
  for (const auto& [name, tensor] : weights_) mixed[name] = tensor.to(types[i++ % 3]);
  write("model.safetensors", mixed);
  for (const auto& [name, tensor] : named_weights(*load())) {
    EXPECT_EQ(tensor.scalar_type(), mixed.at(name).scalar_type()) << name;
    EXPECT_TRUE(tensor.equal(mixed.at(name))) << name;
  }
  for (const auto& [name, tensor] : named_weights(*load(torch::kBFloat16))) {
    EXPECT_TRUE(tensor.equal(mixed.at(name).to(torch::kBFloat16))) << name;
    EXPECT_EQ(tensor.scalar_type(), torch::kBFloat16);
  }
}

TEST_F(LoadWeights, ParametersKeepRequiringGradientsAndTheirPlace) {
  write("model.safetensors", weights_);
  auto model = build_model(folder_ / "config.json");
  const auto before = named_weights(*model);
  before.at("lm_head.weight").set_requires_grad(false);
  load_weights(*model, folder_, torch::kBFloat16);
  for (const auto& [name, tensor] : named_weights(*model)) {
    EXPECT_TRUE(tensor.is_same(before.at(name))) << name;
    EXPECT_EQ(tensor.requires_grad(), name != "lm_head.weight") << name;
  }
}

// Weights that are mapped instead would change with the file, and training in place the file.
TEST_F(LoadWeights, NothingRefersToTheFilesAfterwards) {
  write("model.safetensors", weights_);
  const std::string bytes = core::read_file(folder_ / "model.safetensors");
  auto model = load();
  std::ofstream(folder_ / "model.safetensors", std::ios::binary | std::ios::in)
      << std::string(bytes.size(), '\xff');
  expect_weights(*model);
  core::write_file_atomic(folder_ / "model.safetensors", bytes);
  model = load();
  const torch::NoGradGuard no_grad;
  for (auto& [name, tensor] : named_weights(*model)) tensor.fill_(7);
  EXPECT_EQ(core::read_file(folder_ / "model.safetensors"), bytes);
  fs::resize_file(folder_ / "model.safetensors", 0);
  EXPECT_EQ(named_weights(*model).at("lm_head.weight").max().item<float>(), 7);
}

TEST_F(LoadWeights, TiedHeadIsTheEmbedding) {
  change_config([](nlohmann::json& c) { c["tie_word_embeddings"] = true; });
  Weights tied = weights_;
  tied.erase("lm_head.weight");
  write("model.safetensors", tied);
  auto model = load();
  EXPECT_FALSE(named_weights(*model).contains("lm_head.weight"));
  EXPECT_TRUE(
      model->lm_head_weight().is_same(named_weights(*model).at("model.embed_tokens.weight")));
}

TEST_F(LoadWeights, StoredCopyOfATiedHeadMustBeOne) {
  change_config([](nlohmann::json& c) { c["tie_word_embeddings"] = true; });
  Weights tied = weights_;
  tied["lm_head.weight"] = tied.at("model.embed_tokens.weight");
  write("model.safetensors", tied);
  EXPECT_FALSE(named_weights(*load(torch::kBFloat16)).contains("lm_head.weight"));
  write("model.safetensors", weights_);
  EXPECT_THAT(message(), AllOf(HasSubstr("lm_head.weight differs from the embedding"),
                               HasSubstr("tie_word_embeddings to false")));
  tied["lm_head.weight"] = torch::zeros({3, 32});
  write("model.safetensors", tied);
  EXPECT_THAT(message_of_check(), AllOf(HasSubstr("lm_head.weight has shape [3,32]"),
                                        HasSubstr("[64,32] by its vocab_size")));
}

TEST_F(LoadWeights, MissingHeadAsksForTheTie) {
  Weights tied = weights_;
  tied.erase("lm_head.weight");
  write("model.safetensors", tied);
  EXPECT_THAT(message(), AllOf(HasSubstr("lm_head.weight"), HasSubstr("tie_word_embeddings")));
}

TEST_F(LoadWeights, MissingWeightIsNamedWithItsShape) {
  Weights fewer = weights_;
  fewer.erase("model.layers.1.mlp.up_proj.weight");
  write("model.safetensors", fewer);
  EXPECT_THAT(message(), AllOf(HasSubstr("1 of"), HasSubstr("model.layers.1.mlp.up_proj.weight"),
                               HasSubstr("[48,32]"), HasSubstr(folder_.string())));
}

TEST_F(LoadWeights, UnknownWeightSuggestsTheMissingOneNearest) {
  Weights misspelt = weights_;
  misspelt["model.layers.1.mlp.upp_proj.weight"] = misspelt.at("model.layers.1.mlp.up_proj.weight");
  misspelt.erase("model.layers.1.mlp.up_proj.weight");
  write("model.safetensors", misspelt);
  EXPECT_THAT(message(), AllOf(HasSubstr("upp_proj"), HasSubstr("model.safetensors"),
                               HasSubstr("did you mean model.layers.1.mlp.up_proj.weight?")));
}

TEST_F(LoadWeights, SizesOfTheConfigAgainstTheWeights) {
  write("model.safetensors", weights_);
  change_config([](nlohmann::json& c) { c["vocab_size"] = 70; });
  EXPECT_THAT(message_of_check(), AllOf(HasSubstr("lm_head.weight has shape [64,32]"),
                                        HasSubstr("config.json asks for [70,32] by its vocab_size"),
                                        HasSubstr("model.safetensors")));
  change_config([](nlohmann::json& c) {
    c["vocab_size"] = 64;
    c["intermediate_size"] = 50;
  });
  EXPECT_THAT(message(), HasSubstr("down_proj.weight has shape [32,48], config.json asks for "
                                   "[32,50] by its intermediate_size"));
  change_config([](nlohmann::json& c) {
    c["intermediate_size"] = 48;
    c["vision_config"]["intermediate_size"] = 25;
  });
  EXPECT_THAT(message(), HasSubstr("by its vision_config.intermediate_size"));
  change_config([](nlohmann::json& c) {
    c["vision_config"]["intermediate_size"] = 24;
    c["num_hidden_layers"] = 3;
  });
  EXPECT_THAT(message(), AllOf(HasSubstr("weights are missing"),
                               HasSubstr("asks for 3 blocks model.layers.*, the weights have 2")));
  change_config([](nlohmann::json& c) { c["num_hidden_layers"] = 1; });
  EXPECT_THAT(message(), AllOf(HasSubstr("model.layers.1."), HasSubstr("not one of this model"),
                               HasSubstr("asks for 1 blocks model.layers.*, the weights have 2")));
}

TEST_F(LoadWeights, WeightsMustBeOfAFloatingType) {
  Weights wrong = weights_;
  wrong["model.norm.weight"] = torch::ones({32}, torch::kInt8);
  write("model.safetensors", wrong);
  EXPECT_THAT(message_of_check(), HasSubstr("model.norm.weight is of type I8"));
}

TEST_F(LoadWeights, AWeightUnderBothNamesIsRefused) {
  Weights both = weights_;
  both["model.language_model.norm.weight"] = torch::ones({32});
  write("model.safetensors", both);
  EXPECT_THAT(message(), AllOf(HasSubstr("model.language_model.norm.weight"),
                               HasSubstr("model.norm.weight are the same")));
}

TEST_F(LoadWeights, DirectoriesWithoutWeights) {
  EXPECT_THAT(message(), HasSubstr("no model.safetensors and no model.safetensors.index.json"));
  core::write_file_atomic(folder_ / "pytorch_model.bin", "x");
  EXPECT_THAT(message(), HasSubstr("pytorch_model.bin is a pickle"));
  fs::remove(folder_ / "pytorch_model.bin");
  write(kShards[0], weights_);
  EXPECT_THAT(message(), HasSubstr("the index is missing"));
}

TEST_F(LoadWeights, MissingShardIsNamed) {
  write_shards();
  fs::remove(folder_ / kShards[1]);
  EXPECT_THAT(message(), AllOf(HasSubstr("1 of 2 shards missing: "), HasSubstr(kShards[1])));
}

TEST_F(LoadWeights, TruncatedShardIsNamed) {
  write_shards();
  fs::resize_file(folder_ / kShards[1], fs::file_size(folder_ / kShards[1]) - 1);
  EXPECT_THAT(message(), AllOf(HasSubstr("cut short"), HasSubstr(kShards[1])));
  fs::resize_file(folder_ / kShards[1], 100);
  EXPECT_THAT(message(), AllOf(HasSubstr("in a file of 100"), HasSubstr(kShards[1])));
  fs::resize_file(folder_ / kShards[1], 0);
  EXPECT_THAT(message(), AllOf(HasSubstr("too short"), HasSubstr(kShards[1])));
}

TEST_F(LoadWeights, IndexAndShardsMustAgree) {
  write_shards();
  const nlohmann::json map = weight_map();
  const std::string first = map.begin().key();
  nlohmann::json changed = map;
  changed.erase(first);
  write_index(changed);
  EXPECT_THAT(message(), AllOf(HasSubstr(first + " is not in"), HasSubstr(kShards[0])));
  changed = map;
  changed["model.extra.weight"] = kShards[1];
  write_index(changed);
  EXPECT_THAT(message(), AllOf(HasSubstr("model.extra.weight"), HasSubstr("is missing"),
                               HasSubstr(kShards[1])));
  changed = map;
  changed[first] = kShards[1];
  write_index(changed);
  EXPECT_THAT(message(), AllOf(HasSubstr(first + " is here and"), HasSubstr(kShards[0])));
}

TEST_F(LoadWeights, AWeightInTwoShardsIsRefused) {
  write_shards();
  const std::string first = weight_map().begin().key();
  Weights second;
  const SafetensorsFile file(folder_ / kShards[1]);
  for (const std::string& name : file.names()) second[name] = file.tensor(name).clone();
  second[first] = weights_.at(first);
  write(kShards[1], second);
  EXPECT_THAT(message(), AllOf(HasSubstr(first + " is here and"), HasSubstr(kShards[1]),
                               HasSubstr(kShards[0])));
}

TEST_F(LoadWeights, IndicesThatLeaveTheFolderOrAreDamagedAreRefused) {
  const fs::path outside = folder_ / "secret.safetensors";
  write_safetensors(outside, weights_);
  for (const std::string name : {"../secret.safetensors", outside.c_str(), "a/b.safetensors", "..",
                                 ".", "", "config.json"}) {
    write_index({{"lm_head.weight", name}});
    EXPECT_THAT(message(), AllOf(HasSubstr("names the file \"" + name), HasSubstr(kIndex)));
  }
  write_index({{"lm_head.weight", 3}});
  EXPECT_THAT(message(), HasSubstr("names the file 3"));
  for (const char* text : {R"({"weight_map":[]})", "{}", R"({"weight_map":null})"}) {
    core::write_file_atomic(folder_ / kIndex, text);
    EXPECT_THAT(message(), HasSubstr("no weight_map"));
  }
  core::write_file_atomic(folder_ / kIndex, R"({"weight_map":{"a":"1.safetensors","a":"2"}})");
  EXPECT_THAT(message(), HasSubstr("\"a\" is given twice"));
  core::write_file_atomic(folder_ / kIndex, "{\"weight_map\":" + std::string(1'000'000, '['));
  EXPECT_THAT(message(), HasSubstr("nested deeper"));
}

// As the hub's cache has them: links to files elsewhere.
TEST_F(LoadWeights, LinkedFilesAreRead) {
  const fs::path elsewhere = folder_ / "blobs";
  fs::create_directories(elsewhere);
  write_safetensors(elsewhere / "abc", weights_);
  fs::create_symlink("blobs/abc", folder_ / "model.safetensors");
  expect_weights(*load());
}

TEST_F(LoadWeights, SummaryOfTheHeaders) {
  write_shards();
  const WeightSummary summary = check_weights(*build_model(folder_ / "config.json"), folder_);
  int64_t values = 0;
  for (const auto& [name, tensor] : weights_) values += tensor.numel();
  EXPECT_EQ(summary.files, 2U);
  EXPECT_EQ(summary.values, values);
  EXPECT_EQ(summary.bytes, 4 * values);
  EXPECT_THAT(summary.dtypes, testing::ElementsAre("F32"));
}

}  // namespace
}  // namespace streamo::model
