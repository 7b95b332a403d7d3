// The mean is summed in double and in a fixed order, so that every rank computes the same rows.
#include "model/new_tokens.h"

#include <algorithm>

#include "streamo/core/error.h"

namespace streamo::model {
namespace {

using torch::Tensor;

constexpr int64_t kRowsAtOnce = 1024;

// [rows, H] -> [H] in double.
Tensor mean_of_rows(const Tensor& rows) {
  Tensor sum = torch::zeros({rows.size(1)}, torch::kDouble);
  auto* total = sum.data_ptr<double>();
  for (int64_t first = 0; first < rows.size(0); first += kRowsAtOnce) {
    const Tensor some = rows.slice(0, first, std::min(first + kRowsAtOnce, rows.size(0)))
                            .to(torch::kCPU, torch::kFloat)
                            .contiguous();
    const auto* value = some.const_data_ptr<float>();
    for (int64_t row = 0; row < some.size(0); ++row) {
      for (int64_t i = 0; i < some.size(1); ++i) total[i] += *value++;
    }
  }
  return sum / static_cast<double>(rows.size(0));
}

void add_rows(Tensor& weight, std::span<const int64_t> new_ids, int64_t used_rows) {
  const int64_t rows = weight.size(0);
  STREAMO_CHECK(used_rows > 0 && used_rows <= rows, "the rows the old tokenizer uses");
  const int64_t wanted = *std::max_element(new_ids.begin(), new_ids.end()) + 1;
  const Tensor mean = mean_of_rows(weight.detach().slice(0, 0, used_rows));
  if (wanted > rows) {
    Tensor larger = torch::empty({wanted, weight.size(1)}, weight.options().requires_grad(false));
    larger.slice(0, 0, rows).copy_(weight);
    larger.slice(0, rows).copy_(mean);  // ids between the old rows and the new ones as well
    weight.set_data(larger);
  }
  for (const int64_t id : new_ids) {
    STREAMO_CHECK(id >= used_rows, "a new token has an id of its own");
    weight[id].copy_(mean);
  }
}

}  // namespace

int64_t add_token_rows(VisionLanguageModel& model, std::span<const int64_t> new_ids,
                       int64_t used_rows) {
  const torch::NoGradGuard no_grad;
  if (!new_ids.empty()) {
    for (auto& item : model.named_parameters()) {
      if (model.parameter_part(item.key()) == Part::kEmbedding)
        add_rows(item.value(), new_ids, used_rows);
    }
  }
  return model.lm_head_weight().size(0);
}

}  // namespace streamo::model
