// The "example" preset: a Qwen2.5-VL small enough to learn the synthetic task on a CPU, written as
// a Hugging Face directory.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/io/file.h"
#include "model/hf_directory.h"
#include "model/qwen2_5_vl/config.h"
#include "streamo/core/error.h"

namespace streamo::model {
namespace {

using Json = nlohmann::ordered_json;

// What the "example" preset has of its own: everything else is as in the 3B model, except the
// output head, which is as in the 7B, not tied to the embedding: of a few small trials the one that
// first compared what it saw with what it was asked was untied.
struct ExampleSizes {
  int64_t hidden = 128, layers = 2, heads = 4, kv_heads = 2, intermediate = 384;
  int64_t vision_hidden = 64, vision_depth = 2, vision_heads = 2, vision_intermediate = 192;
  // 0.02 suits a width of 2048: random maps keep the size of their input with about 1 /
  // sqrt(width).
  double initializer_range = 0.07;
  int64_t min_pixels = 3136, max_pixels = 4704;  // 84 x 56: six visual tokens of a 3:2 picture
};

Json example_config(const ExampleSizes& sizes, const PresetTokens& tokens) {
  return {{"architectures", {"Qwen2_5_VLForConditionalGeneration"}},
          {"model_type", "qwen2_5_vl"},
          {"attention_dropout", 0.0},
          {"bos_token_id", tokens.pad_token_id},
          {"eos_token_id", tokens.eos_token_id},
          {"vision_start_token_id", tokens.vision_start_token_id},
          {"vision_end_token_id", tokens.vision_end_token_id},
          {"vision_token_id", tokens.image_token_id},
          {"image_token_id", tokens.image_token_id},
          {"video_token_id", tokens.video_token_id},
          {"hidden_act", "silu"},
          {"hidden_size", sizes.hidden},
          {"initializer_range", sizes.initializer_range},
          {"intermediate_size", sizes.intermediate},
          {"max_position_embeddings", 32768},
          {"num_attention_heads", sizes.heads},
          {"num_hidden_layers", sizes.layers},
          {"num_key_value_heads", sizes.kv_heads},
          {"rms_norm_eps", 1e-6},
          {"rope_theta", 10000.0},
          {"rope_scaling", {{"type", "mrope"}, {"mrope_section", {4, 6, 6}}}},
          {"tie_word_embeddings", false},
          {"torch_dtype", "float32"},
          {"use_cache", true},
          {"use_sliding_window", false},
          {"vocab_size", tokens.vocab_size},
          {"vision_config",
           {{"model_type", "qwen2_5_vl"},
            {"depth", sizes.vision_depth},
            {"hidden_act", "silu"},
            {"hidden_size", sizes.vision_hidden},
            {"intermediate_size", sizes.vision_intermediate},
            {"num_heads", sizes.vision_heads},
            {"initializer_range", sizes.initializer_range},
            {"in_chans", 3},
            {"out_hidden_size", sizes.hidden},
            {"patch_size", 14},
            {"spatial_merge_size", 2},
            {"spatial_patch_size", 14},
            {"temporal_patch_size", 2},
            {"tokens_per_second", 2},
            {"window_size", 112},
            {"fullatt_block_indexes", {1}}}}};
}

Json processor_config(const ExampleSizes& sizes) {
  return {{"image_processor_type", "Qwen2VLImageProcessor"},
          {"processor_class", "Qwen2_5_VLProcessor"},
          {"min_pixels", sizes.min_pixels},
          {"max_pixels", sizes.max_pixels},
          {"patch_size", 14},
          {"temporal_patch_size", 2},
          {"merge_size", 2},
          {"image_mean", qwen2_5_vl::kImageMean},
          {"image_std", qwen2_5_vl::kImageStd}};
}

// ChatML with a picture's placeholder between its borders.
constexpr const char* kChatTemplate =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "{{ '<|vision_start|><|image_pad|><|vision_end|>' }}{% else %}{{ part['text'] }}{% endif %}{% "
    "endfor %}"
    "{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

}  // namespace

PictureLimits preset_picture_limits(const std::string& preset) {
  STREAMO_CHECK(preset == "example", "the config schema allows no other preset");
  return {.least = ExampleSizes().min_pixels, .most = ExampleSizes().max_pixels};
}

void write_preset(const std::string& preset, const PresetTokens& tokens,
                  const std::filesystem::path& out_dir) {
  STREAMO_CHECK(preset == "example", "the config schema allows no other preset");
  const ExampleSizes sizes;
  const auto write = [&](const char* name, const Json& json) {
    core::write_file_atomic(out_dir / name, json.dump(2) + "\n");
  };
  write("config.json", example_config(sizes, tokens));
  write("preprocessor_config.json", processor_config(sizes));
  write("generation_config.json", {{"do_sample", false},
                                   {"eos_token_id", tokens.eos_token_id},
                                   {"pad_token_id", tokens.pad_token_id}});
  core::write_file_atomic(out_dir / "chat_template.jinja", kChatTemplate);
}

}  // namespace streamo::model
