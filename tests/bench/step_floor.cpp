#include "bench/step_floor.h"

#include <chrono>
#include <functional>
#include <vector>

namespace streamo::bench {
namespace {

using torch::Tensor;

double seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Product {
  Tensor x, weight, grad;  // [rows, in], [out, in], [rows, out]
  bool needs_input_grad, recomputed;
};

void forward(const Product& product) {
  at::linear(product.x, product.weight);
}

void backward(const Product& product) {
  if (product.recomputed) forward(product);
  if (product.needs_input_grad) at::mm(product.grad, product.weight);
  if (product.weight.requires_grad()) at::mm(product.grad.t(), product.x);
}

// The tensors that go in, one a shape: `random(rows, columns)`.
class Inputs {
 public:
  explicit Inputs(torch::TensorOptions options) : options_(options) {}
  Tensor operator()(int64_t rows, int64_t columns) {
    Tensor& tensor = made_[{rows, columns}];
    if (!tensor.defined()) tensor = at::randn({rows, columns}, options_);
    return tensor;
  }

 private:
  torch::TensorOptions options_;
  std::map<std::pair<int64_t, int64_t>, Tensor> made_;
};

std::vector<Product> linear_products(model::VisionLanguageModel& model, const StepShape& shape,
                                     Inputs& inputs) {
  std::vector<Product> products;
  for (const auto& item : model.named_parameters()) {
    const Tensor weight = item.value().dim() >= 2 ? item.value().flatten(1) : Tensor();
    const model::Part part = model.parameter_part(item.key());
    if (!weight.defined() || part == model::Part::kEmbedding) continue;
    const int64_t rows = part == model::Part::kLanguage ? shape.tokens
                         : part == model::Part::kMerger ? shape.patches / 4
                                                        : shape.patches;
    // Below the first layer of the merger nothing is trained.
    const bool needs_input_grad =
        item.value().requires_grad() && item.key() != "visual.merger.mlp.0.weight";
    products.push_back({inputs(rows, weight.size(1)), weight, inputs(rows, weight.size(0)),
                        needs_input_grad, shape.checkpointing && part == model::Part::kLanguage});
  }
  return products;
}

double attention_seconds(int64_t calls, const std::vector<int64_t>& q_shape, int64_t kv_heads,
                         bool causal, bool trained, bool recomputed,
                         const torch::TensorOptions& options) {
  std::vector<int64_t> kv_shape = q_shape;
  kv_shape[1] = kv_heads;
  const auto leaf = [&](const std::vector<int64_t>& s) {
    return at::randn(s, options).set_requires_grad(trained);
  };
  const Tensor q = leaf(q_shape), k = leaf(kv_shape), v = leaf(kv_shape),
               grad = at::randn(q_shape, options);
  const auto attend = [&] {
    return at::scaled_dot_product_attention(q, k, v, {}, 0.0, causal, std::nullopt,
                                            q_shape[1] != kv_heads);
  };
  return seconds([&] {
    for (int64_t call = 0; call < calls; ++call) {
      if (recomputed) {
        const torch::NoGradGuard no_grad;
        attend();
      }
      const Tensor out = attend();
      if (trained) torch::autograd::grad({out}, {q, k, v}, {grad});
    }
  });
}

}  // namespace

FloorSeconds measure_floor(model::VisionLanguageModel& model, const StepShape& shape) {
  const Tensor head = model.lm_head_weight();
  const torch::TensorOptions options = head.options().requires_grad(false);
  Inputs inputs(options);
  FloorSeconds floor;
  {
    const torch::NoGradGuard no_grad;
    const std::vector<Product> products = linear_products(model, shape, inputs);
    const Product on_rows = {inputs(shape.supervised, head.size(1)), head,
                             inputs(shape.supervised, head.size(0)), true, false};
    floor.linear = seconds([&] {
      for (const Product& product : products) forward(product);
      for (size_t i = products.size(); i-- > 0;) backward(products[i]);
    });
    floor.head = seconds([&] {
      forward(on_rows);
      backward(on_rows);
    });
  }
  int64_t vision_width = 0, vision_blocks = 0;
  for (const auto& item : model.named_parameters()) {
    if (!item.key().ends_with(".attn.proj.weight")) continue;
    vision_width = item.value().size(0);
    ++vision_blocks;
  }
  floor.attention =
      attention_seconds(model.num_layers(),
                        {1, shape.heads, shape.tokens, head.size(1) / shape.heads}, shape.kv_heads,
                        true, true, shape.checkpointing, options) +
      attention_seconds(vision_blocks,
                        {shape.pictures, shape.vision_heads, shape.patches / shape.pictures,
                         vision_width / shape.vision_heads},
                        shape.vision_heads, false, false, false, options);
  return floor;
}

}  // namespace streamo::bench
