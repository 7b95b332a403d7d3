// Puts each micro-batch's sums in a slot of its own before the all-reduce, so the total is added in
// the same order for any number of ranks.
#include "train/step_loss.h"

#include <nlohmann/json.hpp>

#include "core/json/dump_json.h"

namespace streamo::train {
namespace {

using Json = nlohmann::json;

// loss, text, state, three counts of targets, three of hits.
constexpr int64_t kColumns = 9;

Json to_json(const std::vector<data::BadSample>& samples) {
  Json list = Json::array();
  for (const data::BadSample& sample : samples) list.push_back({sample.id, sample.reason});
  return list;
}

}  // namespace

StepTotals total_over_ranks(const data::StepBatch& step, parallel::Ranks& ranks) {
  std::array<double, 3> states{};
  for (const data::MicroBatch& batch : step.micro_batches) {
    const std::array<double, 3> targets = batch.state_targets();
    for (size_t state = 0; state < targets.size(); ++state) states[state] += targets[state];
  }
  const std::vector<double> sums = ranks.sum(std::vector<double>{
      static_cast<double>(step.tokens()), static_cast<double>(step.num_frames()),
      static_cast<double>(step.supervised_tokens()), static_cast<double>(step.bad.size()),
      states[0], states[1], states[2]});
  StepTotals totals{.tokens = static_cast<int64_t>(sums[0]),
                    .frames = static_cast<int64_t>(sums[1]),
                    .supervised_tokens = static_cast<int64_t>(sums[2]),
                    .states = {sums[4], sums[5], sums[6]}};
  if (sums[3] == 0) return totals;
  for (const std::string& list : ranks.gather(core::dump_json(to_json(step.bad)))) {
    for (const Json& sample : Json::parse(list)) totals.bad.push_back({sample[0], sample[1]});
  }
  return totals;
}

void StepLoss::add(int64_t number, const loss::LossTerms& terms, const loss::SupervisedRows& rows) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor is_state = rows.states.ge(0);
  const torch::Tensor right = terms.predictions.eq(rows.targets);
  const torch::Tensor of_state =
      rows.states.unsqueeze(1).eq(torch::arange(3, rows.states.options()));  // [R, 3]
  const torch::Tensor sums =
      torch::stack({terms.loss.detach(), terms.token_loss.masked_fill(is_state, 0).sum(),
                    terms.token_loss.masked_fill(~is_state, 0).sum()});
  const torch::Tensor counts =
      torch::cat({of_state.sum(0), of_state.logical_and(right.unsqueeze(1)).sum(0)});
  numbers_.push_back(number);
  rows_.push_back(torch::cat({sums.to(torch::kDouble), counts.to(torch::kDouble)}));
}

std::vector<double> StepLoss::exchange(parallel::Ranks& ranks, const std::vector<double>& flags) {
  std::vector<double> values(static_cast<size_t>(count_ * kColumns));
  if (!rows_.empty()) {
    const torch::Tensor host = torch::stack(rows_).cpu();
    for (size_t i = 0; i < numbers_.size(); ++i) {
      const auto* row = host[static_cast<int64_t>(i)].data_ptr<double>();
      std::copy(row, row + kColumns, values.begin() + numbers_[i] * kColumns);
    }
  }
  values.insert(values.end(), flags.begin(), flags.end());
  values = ranks.sum(values);  // each number comes from one rank: adding the others' zeros is exact
  for (int64_t number = 0; number < count_; ++number) {
    const double* row = values.data() + number * kColumns;
    losses.push_back(row[0]);
    loss += row[0];
    text += row[1];
    state += row[2];
    for (size_t c = 0; c < 3; ++c) {
      targets[c] += static_cast<int64_t>(row[3 + c]);
      hits[c] += static_cast<int64_t>(row[6 + c]);
    }
  }
  return {values.begin() + count_ * kColumns, values.end()};
}

}  // namespace streamo::train
