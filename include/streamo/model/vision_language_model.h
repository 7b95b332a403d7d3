// What the trainer, the live session and the exporter need from a model family.
//
// Shapes: L tokens of all packed samples, P image patches, V = P / merge^2 visual tokens, H hidden
// size.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "streamo/model/activations.h"
#include "streamo/model/flops.h"
#include "streamo/nn/block_hooks.h"

namespace streamo::model {

struct ImageGrid {  // patches of one picture
  int64_t t = 1, h = 0, w = 0;
  int64_t patches() const { return t * h * w; }
};

// One packed micro-batch, or the new tokens of a live session.
struct ModelInput {
  torch::Tensor input_ids;          // [L] int64
  torch::Tensor position_ids;       // [3, L] int64: temporal, height, width
  std::vector<int64_t> cu_seqlens;  // [samples + 1] host; attention never crosses a border
  torch::Tensor pixel_values;  // [P, channels * 2 * patch * patch] float; undefined: no pictures
  std::vector<ImageGrid> image_grid;  // the pictures in the order of their placeholders
  // [V, H]: of encode_images(), where the pictures were seen before, in place of pixel_values.
  torch::Tensor image_features = {};
};

// Keys and values of one live conversation, a pair [1, kv_heads, capacity, head_dim] a layer.
struct KvCache {
  std::vector<torch::Tensor> keys, values;
  int64_t length = 0;         // tokens held
  int64_t next_position = 0;  // text position that follows what is held
};

// What a parameter belongs to.
enum class Part { kVision, kMerger, kLanguage, kEmbedding };

// One of the repeated blocks, a layer of the vision tower or of the decoder.
struct Block {
  Part part;
  std::vector<torch::Tensor> parameters;
};

class VisionLanguageModel : public torch::nn::Module {
 public:
  // Merged features of the pictures, [V, H].
  virtual torch::Tensor encode_images(const torch::Tensor& pixel_values,
                                      std::span<const ImageGrid> grid) = 0;
  // Final-norm hidden states, [L, H].
  virtual torch::Tensor forward(const ModelInput& input) = 0;
  // As forward for one sample, attending to what `cache` holds, which grows by these tokens. Only
  // the last token's hidden state, [1, H]: of the others the last layer computes keys and values
  // alone. No gradient.
  virtual torch::Tensor forward_cached(const ModelInput& input, KvCache& cache) = 0;
  // The output projection, [vocabulary, H]; the embedding itself when tied.
  virtual torch::Tensor lm_head_weight() = 0;

  // Positions of a token sequence with its pictures: [3, L] int64 on the CPU. `start`: first
  // position. `next_position` (may be null) receives the one that follows.
  virtual torch::Tensor position_ids(std::span<const int32_t> input_ids,
                                     std::span<const ImageGrid> grid, int64_t start,
                                     int64_t* next_position) const = 0;
  // uint8 pictures [n, height, width, 3] of one size -> pixel_values [n * patches, 1176] and their
  // grid.
  virtual torch::Tensor patchify(const torch::Tensor& pictures,
                                 std::vector<ImageGrid>* grid) const = 0;

  virtual Part parameter_part(const std::string& parameter_name) const = 0;
  virtual void set_gradient_checkpointing(bool enabled) = 0;
  // In the order of the forward pass, as hooks number them; and who is told when forward() and its
  // backward pass use their parameters (null: nobody).
  virtual std::vector<Block> blocks() const = 0;
  virtual void set_block_hooks(nn::BlockHooks* hooks) = 0;
  virtual int64_t pixels_per_token_side() const = 0;  // patch * merge: 28
  virtual int64_t num_layers() const = 0;
  virtual Flops forward_flops(const Workload& work) const = 0;
  virtual Activations activations(const Workload& work, const Training& training) const = 0;
  // Standard deviation of random initial weights: vision tower and decoder have their own.
  virtual double initializer_range(const std::string& parameter_name) const = 0;
  // The key of config.json that sets a side of a parameter, to say which one is wrong; "" when it
  // is not one alone.
  virtual std::string size_key(const std::string& /*parameter_name*/, int64_t /*side*/) const {
    return "";
  }
};

}  // namespace streamo::model
