// Gradient accumulation, the collective agreement on stopping and saving, and the check for finite
// loss and gradient norm before the update.
#include "train/training_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>
#include <numeric>
#include <span>
#include <vector>

#include "core/io/fault_point.h"
#include "core/io/file.h"
#include "core/json/dump_json.h"
#include "core/log.h"
#include "core/process/stop_signal.h"
#include "streamo/core/error.h"
#include "train/model_inputs.h"

namespace streamo::train {
namespace {

using Json = nlohmann::ordered_json;

// Collective. Names the samples of every rank's micro-batches, and which loss was not finite.
void write_nonfinite_step(const std::filesystem::path& path, int64_t step_number,
                          const data::StepBatch& step, const StepLoss& sums,
                          parallel::Ranks& ranks) {
  Json own = Json::array();
  for (const data::MicroBatch& batch : step.micro_batches) {
    const double loss = sums.losses[static_cast<size_t>(batch.number)];
    own.push_back({{"rank", ranks.rank()},
                   {"micro_batch", batch.number},
                   {"finite_loss", std::isfinite(loss)},
                   {"samples", batch.ids}});
  }
  Json all = Json::array();
  for (const std::string& list : ranks.gather(core::dump_json(own))) {
    for (Json& batch : Json::parse(list)) all.push_back(std::move(batch));
  }
  if (!ranks.first()) return;
  const Json list = {{"step", step_number}, {"micro_batches", std::move(all)}};
  core::unless_the_disk_fails(
      [&] { core::write_file_atomic(path, core::dump_json(list, 2) + "\n"); });
}

// How long this rank has computed. On a CPU the time its thread was given, so that other processes
// on the same cores, and waiting for other ranks, do not count.
double seconds_computed(torch::Device device) {
  if (!device.is_cpu()) return core::monotonic_seconds();
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Their mean over their maximum.
double load_balance(std::span<const double> seconds) {
  const double most = *std::max_element(seconds.begin(), seconds.end());
  const double all = std::accumulate(seconds.begin(), seconds.end(), 0.0);
  return most > 0 ? all / static_cast<double>(seconds.size()) / most : 1;
}

void fill_in(metrics::StepMetrics& metrics, const StepLoss& sums, const StepTotals& totals) {
  const auto states = static_cast<double>(sums.targets[0] + sums.targets[1] + sums.targets[2]);
  const auto supervised = static_cast<double>(totals.supervised_tokens);
  metrics.loss = sums.loss;
  metrics.state_targets = sums.targets;
  metrics.state_hits = sums.hits;
  metrics.loss_state = sums.state / std::max(states, 1.0);
  metrics.loss_text = sums.text / std::max(supervised - states, 1.0);
}

}  // namespace

StepOutcome TrainingStep::run(const data::StepBatch& step, const StepTotals& totals,
                              metrics::StepMetrics& metrics) {
  parts_.loss.count_states(totals.states);
  StepLoss sums(parts_.micro_batches);
  // Without what it waits for the others: all of them would need as long as the slowest.
  const auto own_seconds = [&] {
    return core::monotonic_seconds() - parts_.ranks.seconds_waited();
  };
  const double started = seconds_computed(parts_.device), begun = own_seconds();
  const bool complete = accumulate(step, totals, sums);
  const double busy = seconds_computed(parts_.device) - started;
  const double needed = step.seconds_waited + own_seconds() - begun;
  const parallel::Gradients gradients = parts_.reducer.reduce();
  core::fault_point("train.step");
  constexpr size_t kOthers = 3;  // before the two times of each rank
  const auto ranks = static_cast<size_t>(parts_.ranks.size());
  std::vector<double> flags(kOthers + 2 * ranks);
  flags[0] = complete ? 0 : 1;
  flags[1] = asked_to_stop_() ? 1 : 0;
  flags[2] = core::take_save_request() ? 1 : 0;
  double* const of_rank = flags.data() + kOthers + parts_.ranks.rank();
  of_rank[0] = busy;
  of_rank[ranks] = needed;
  flags = sums.exchange(parts_.ranks, flags);
  metrics.rank_balance = load_balance(std::span(flags).subspan(kOthers, ranks));
  name_straggler(std::span(flags).subspan(kOthers + ranks));
  const StepOutcome outcome{
      .done = flags[0] == 0, .stopping = flags[0] + flags[1] > 0, .saving = flags[2] > 0};
  // Without a supervised token nothing is learnt: every sample was bad, say. Time goes on.
  if (outcome.done && totals.supervised_tokens > 0 && update(step, sums, gradients, metrics))
    fill_in(metrics, sums, totals);
  return outcome;
}

void TrainingStep::name_straggler(std::span<const double> seconds) {
  const std::optional<Straggler> slow = stragglers_.add(seconds);
  if (!slow) return;
  core::log_info(
      "slow: {} needed {:.2f} times as long as the other ranks in the last {} steps, "
      "its data included",
      parts_.ranks.describe_rank(slow->rank), slow->ratio, Stragglers::kSteps);
}

bool TrainingStep::stops_here() {
  const bool asked = asked_to_stop_();
  return parts_.reducer.in_lockstep() ? parts_.ranks.sum(asked ? 1.0 : 0.0) > 0 : asked;
}

// Forward and backward of this rank's micro-batches; false when it was stopped before the last.
bool TrainingStep::accumulate(const data::StepBatch& step, const StepTotals& totals,
                              StepLoss& sums) {
  const size_t rounds =
      parts_.reducer.in_lockstep() ? static_cast<size_t>(step.rounds) : step.micro_batches.size();
  parts_.reducer.begin_step(static_cast<int64_t>(rounds));
  for (size_t round = 0; round < rounds; ++round) {
    if (stops_here()) return false;
    core::fault_point("train.micro_batch");
    if (round < step.micro_batches.size()) compute(step.micro_batches[round], totals, sums);
    parts_.reducer.end_micro_batch();
    parts_.ranks.note_progress();
  }
  return true;
}

void TrainingStep::compute(const data::MicroBatch& batch, const StepTotals& totals,
                           StepLoss& sums) {
  if (batch.targets.empty()) return;  // nothing in it carries a loss
  const torch::Tensor hidden_states =
      parts_.model.forward(to_model_input(batch, parts_.model, parts_.device));
  const loss::SupervisedRows rows = supervised_rows(batch, hidden_states);
  loss::LossTerms terms = parts_.loss(rows, parts_.model.lm_head_weight(),
                                      static_cast<double>(totals.supervised_tokens));
  if (core::fault_asked("train.loss", "nan")) terms.loss = terms.loss * std::nan("");
  terms.loss.backward();
  sums.add(batch.number, terms, rows);
}

// False when the step is skipped.
bool TrainingStep::update(const data::StepBatch& step, const StepLoss& sums,
                          const parallel::Gradients& gradients, metrics::StepMetrics& metrics) {
  metrics.grad_norm = parts_.reducer.clip_grad_norm(gradients, parts_.config.optim.clip_grad_norm);
  if (!require_finite(step, sums, metrics)) return false;  // before the weights change
  metrics.lr = parts_.schedule.lr(metrics.step - 1);
  parts_.optimizer.step(gradients.values, metrics.lr);
  parts_.reducer.publish(gradients);
  return true;
}

// All ranks know the same numbers, so they take the same way. False: the step is to be skipped.
bool TrainingStep::require_finite(const data::StepBatch& step, const StepLoss& sums,
                                  const metrics::StepMetrics& metrics) {
  if (std::isfinite(sums.loss) && std::isfinite(metrics.grad_norm)) {
    skipped_in_a_row_ = 0;
    return true;
  }
  const std::filesystem::path list = parts_.run_folder / "nonfinite_step.json";
  write_nonfinite_step(list, metrics.step, step, sums, parts_.ranks);
  const std::string what = fmt::format("loss {} and gradient norm {} at step {}", sums.loss,
                                       metrics.grad_norm, metrics.step);
  const config::RunConfig::Train& train = parts_.config.train;
  const bool may_skip = train.nonfinite == "skip";
  if (may_skip && skipped_in_a_row_++ < train.max_nonfinite_skips) {
    core::log_warning("{}, {} names its samples, the step is skipped", what, list.string());
    return false;
  }
  throw core::Error(
      core::ErrorKind::kNonFinite,
      what + (may_skip ? fmt::format(", after train.max_nonfinite_skips = {} that were skipped",
                                     train.max_nonfinite_skips)
                       : ", the weights were not changed"),
      list.string() + " names its samples",
      may_skip ? "lower optim.lr, and go on from a checkpoint before them (checkpoint.resume)"
               : "lower optim.lr, look at these samples, or set train.nonfinite=skip");
}

}  // namespace streamo::train
