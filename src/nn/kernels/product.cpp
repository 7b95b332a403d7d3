// Calls oneDNN's linear operator through the dispatcher, for matrices large enough to gain from it.
#include "nn/kernels/product.h"

#include <ATen/core/dispatch/Dispatcher.h>

namespace streamo::nn {
namespace {

using torch::Tensor;

constexpr int64_t kMinRows = 128, kMinWeightValues = int64_t{1} << 17;

// The operator behind torch.compile's linear layers on the CPU; it has no C++ function of its own.
Tensor onednn_linear(const Tensor& x, const Tensor& w, const Tensor& bias) {
  using Schema =
      Tensor(const Tensor&, const Tensor&, const std::optional<Tensor>&, std::string_view,
             c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
                             .typed<Schema>();
  return op.call(x, w, bias.defined() ? std::optional<Tensor>(bias) : std::nullopt, "none",
                 c10::List<std::optional<at::Scalar>>(), "");
}

}  // namespace

bool is_large_product(const Tensor& x, int64_t weight_values) {
  static const bool available = at::hasMKLDNN();
  return available && x.is_cpu() && x.scalar_type() == torch::kFloat && x.size(0) >= kMinRows &&
         weight_values >= kMinWeightValues;
}

Tensor product(const Tensor& x, const Tensor& w, const Tensor& bias) {
  if (is_large_product(x, w.numel())) return onednn_linear(x, w, bias);
  return at::linear(x, w, bias);
}

}  // namespace streamo::nn
