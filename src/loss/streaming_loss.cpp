// Computes loss and gradients in one forward pass over chunks of rows and hands autograd the
// finished gradients, so the [rows, vocabulary] logits never exist as a whole.
#include "loss/streaming_loss.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "core/suggest.h"
#include "loss/cpu_head.h"
#include "streamo/core/error.h"

namespace streamo::loss {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kNumStates = 3;

// Logits are never rounded to bf16: a state's (1 - p) would keep 8 bits. Double stays double, for
// tests.
torch::ScalarType arithmetic_type(const Tensor& tensor) {
  return tensor.scalar_type() == torch::kDouble ? torch::kDouble : torch::kFloat;
}

// The head in the type that the products are made in. CPUs get fp32; CUDA multiplies bf16 with fp32
// sums in its tensor cores, so there the head stays as it is instead of being copied at twice the
// size.
Tensor head_operand(const Tensor& head_weight) {
  return head_weight.is_cuda() ? head_weight : head_weight.to(arithmetic_type(head_weight));
}

// a @ b, summed and returned in fp32 (double for double).
Tensor product(const Tensor& a, const Tensor& b) {
  if (a.scalar_type() == arithmetic_type(a)) return at::mm(a, b);
  return at::mm(a, b, torch::kFloat);
}

// sum += a @ b, likewise.
void add_product(Tensor& sum, const Tensor& a, const Tensor& b) {
  if (a.scalar_type() == sum.scalar_type()) {
    sum.addmm_(a, b);
  } else {
    sum.add_(product(a, b));
  }
}

// Results of a run over all rows.
struct Pass {
  Tensor token_loss, predictions;  // [R]
  Tensor weights;                  // [R], w_i
  Tensor loss;                     // scalar
  Tensor grad_hidden, grad_head;   // of sum w_i CE_i / N; undefined when not wanted
};

// d(w CE) / d logits. With z the logits, p the probability of the target y, CE = -log p, q = 1 - p
// and the weight alpha q^gamma, whose q is differentiated too:
//   dp/dz_j      = p (delta_jy - p_j)
//   d(w CE)/dp   = alpha (-gamma q^(gamma-1) CE - q^gamma / p)
//   d(w CE)/dz_j = alpha (q^gamma + gamma p q^(gamma-1) CE) (p_j - delta_jy)
// that is the gradient of plain cross-entropy times a factor a row. q is made from CE by expm1,
// which stays exact where p is next to 1; there q^(gamma-1) CE tends to q^gamma, so the clamp
// (against 0^negative) changes nothing.
Tensor focal_gradient_factor(const Tensor& ce, const Tensor& alpha, double gamma) {
  const Tensor q = (-(-ce).expm1()).clamp_min(std::numeric_limits<float>::min());
  return alpha * (q.pow(gamma) + gamma * (-ce).exp() * q.pow(gamma - 1.0) * ce);
}

Tensor focal_weight(const Tensor& ce, const Tensor& alpha, double gamma) {
  return alpha * (-(-ce).expm1()).pow(gamma);
}

struct PassOptions {
  double gamma, denominator;
  int64_t chunk_rows;
  bool want_grad_hidden, want_grad_head;
};

// What a row's plain cross-entropy gradient is multiplied with, [rows].
Tensor gradient_factor(const Tensor& ce, const Tensor& is_state, const Tensor& alpha,
                       const PassOptions& options) {
  const Tensor focal = focal_gradient_factor(ce, alpha, options.gamma);
  return torch::where(is_state, focal, torch::ones_like(ce)) / options.denominator;
}

Pass empty_pass(const Tensor& hidden_RH, const Tensor& head_VH, const Tensor& targets,
                const PassOptions& options) {
  const auto type = arithmetic_type(hidden_RH);
  const int64_t rows = hidden_RH.size(0);
  Pass pass;
  pass.token_loss = torch::empty({rows}, hidden_RH.options().dtype(type));
  pass.predictions = torch::empty({rows}, targets.options());
  if (options.want_grad_hidden) pass.grad_hidden = torch::zeros_like(hidden_RH);
  if (options.want_grad_head) {
    pass.grad_head = torch::zeros(head_VH.sizes(), head_VH.options().dtype(type));
  }
  return pass;
}

Pass run_over_rows(const Tensor& hidden_RH, const Tensor& head_VH, const Tensor& targets,
                   const Tensor& is_state, const Tensor& alpha, const PassOptions& options) {
  const Tensor head = head_operand(head_VH);
  const int64_t rows = hidden_RH.size(0);
  Pass pass = empty_pass(hidden_RH, head_VH, targets, options);
  for (int64_t start = 0; start < rows; start += options.chunk_rows) {
    const int64_t end = std::min(start + options.chunk_rows, rows);
    const Tensor hidden = hidden_RH.slice(0, start, end).to(head.scalar_type());
    const Tensor target = targets.slice(0, start, end).unsqueeze(1);
    Tensor log_p = product(hidden, head.t());  // [rows of the chunk, V]: the only large tensors
    pass.predictions.slice(0, start, end).copy_(log_p.argmax(1));
    log_p = torch::log_softmax(log_p, 1);
    const Tensor ce = -log_p.gather(1, target).squeeze(1);
    pass.token_loss.slice(0, start, end).copy_(ce);
    if (!options.want_grad_hidden && !options.want_grad_head) continue;

    const Tensor factor =
        gradient_factor(ce, is_state.slice(0, start, end), alpha.slice(0, start, end), options);
    Tensor grad_logits = log_p.exp_();
    grad_logits.scatter_(1, target, (-ce).expm1().unsqueeze(1));  // p - 1, without cancellation
    grad_logits = grad_logits.mul_(factor.unsqueeze(1)).to(head.scalar_type());
    if (options.want_grad_hidden) {
      pass.grad_hidden.slice(0, start, end).copy_(product(grad_logits, head));
    }
    if (options.want_grad_head) add_product(pass.grad_head, grad_logits.t(), hidden);
  }
  return pass;
}

// The same in blocks of the vocabulary.
Pass run_in_blocks(const Tensor& hidden_RH, const Tensor& head_VH, const Tensor& targets,
                   const Tensor& is_state, const Tensor& alpha, const PassOptions& options) {
  const int64_t rows = hidden_RH.size(0);
  Pass pass = empty_pass(hidden_RH, head_VH, targets, options);
  for (int64_t start = 0; start < rows; start += options.chunk_rows) {
    const auto chunk = [&, end = std::min(start + options.chunk_rows, rows)](const Tensor& x) {
      return x.defined() ? x.slice(0, start, end) : x;
    };
    const CpuHead head(chunk(hidden_RH), head_VH, chunk(targets));
    const Tensor& ce = head.cross_entropy();
    chunk(pass.token_loss).copy_(ce);
    chunk(pass.predictions).copy_(head.predictions());
    if (!options.want_grad_hidden && !options.want_grad_head) continue;
    head.add_gradients(gradient_factor(ce, chunk(is_state), chunk(alpha), options),
                       chunk(pass.grad_hidden), pass.grad_head);
  }
  return pass;
}

struct HeldGradients : torch::CustomClassHolder {
  Tensor hidden, head;
};

// Gives autograd the gradients that the forward pass has already computed. They are held, not saved
// as variables: handed over in the backward pass without another owner, they can be added to in
// place (a copy of the head's gradient would be the largest tensor of the step).
class PrecomputedGradients : public torch::autograd::Function<PrecomputedGradients> {
 public:
  // The first two are named so that the result depends on them. The gradients come inside a struct
  // because autograd takes every tensor argument for an input, and refuses undefined ones.
  static Tensor forward(AutogradContext* context, const Tensor& /*hidden_states*/,
                        const Tensor& /*head_weight*/, const Pass& pass) {
    auto held = c10::make_intrusive<HeldGradients>();
    held->hidden = pass.grad_hidden;
    held->head = pass.grad_head;
    context->saved_data["gradients"] = c10::IValue::make_capsule(std::move(held));
    return pass.loss;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grad_outputs) {
    STREAMO_CHECK(context->saved_data.count("gradients") == 1, "the loss has one backward pass");
    const auto held = c10::static_intrusive_pointer_cast<HeldGradients>(
        context->saved_data["gradients"].toCapsule());
    context->saved_data.erase("gradients");
    const torch::NoGradGuard no_grad;
    const bool scales = !grad_outputs[0].is_cpu() || grad_outputs[0].item<double>() != 1.0;
    for (Tensor* gradient : {&held->hidden, &held->head}) {
      if (scales && gradient->defined()) gradient->mul_(grad_outputs[0]);
    }
    return {std::move(held->hidden), std::move(held->head), Tensor()};
  }
};

void check_shapes(const SupervisedRows& rows, const Tensor& head_weight) {
  const int64_t count = rows.hidden_states.size(0);
  STREAMO_CHECK(rows.hidden_states.dim() == 2 && head_weight.dim() == 2 &&
                    rows.hidden_states.size(1) == head_weight.size(1),
                "hidden states [R, H] and head [V, H] do not fit");
  STREAMO_CHECK(rows.targets.size(0) == count && rows.states.size(0) == count &&
                    rows.samples.size(0) == count,
                "targets, states and samples are one a row");
}

}  // namespace

StreamingLoss::StreamingLoss(StreamingLossConfig config) : config_(std::move(config)) {
  const std::vector<std::string> scopes = {"micro_batch", "sample", "running"};
  if (std::find(scopes.begin(), scopes.end(), config_.alpha_scope) == scopes.end()) {
    throw core::Error(core::ErrorKind::kConfig,
                      "unknown scope of the class weights \"" + config_.alpha_scope + "\"",
                      "loss.alpha_scope", core::suggestion(config_.alpha_scope, scopes));
  }
  STREAMO_CHECK(config_.gamma >= 0 && config_.chunk_rows > 0, "gamma >= 0, chunk_rows > 0");
}

Tensor StreamingLoss::class_weights(const Tensor& states, const Tensor& samples) const {
  const torch::NoGradGuard no_grad;
  const Tensor is_state = states >= 0;
  // The group whose states are counted together: the micro-batch, or each sample.
  const bool by_sample = config_.alpha_scope == "sample" && samples.numel() > 0;
  const int64_t groups = by_sample ? samples.max().item<int64_t>() + 1 : 1;
  const Tensor group = by_sample ? samples : torch::zeros_like(states);
  const Tensor key = group * kNumStates + states.clamp_min(0);

  const auto double_options = states.options().dtype(torch::kDouble);
  Tensor counts = torch::zeros({groups * kNumStates}, double_options);
  counts.scatter_add_(0, key, is_state.to(torch::kDouble));
  if (config_.alpha_scope == "running") {
    counts =
        torch::tensor({running_counts_[0], running_counts_[1], running_counts_[2]}, torch::kDouble)
            .to(states.device());
  }
  counts = counts.view({groups, kNumStates});
  const Tensor total = counts.sum(1, /*keepdim=*/true);
  const Tensor present = (counts > 0).sum(1, /*keepdim=*/true);
  // Absent classes and groups divide by zero here, but no row looks them up.
  const Tensor alpha = (total / counts / present).view({-1}).index_select(0, key);
  return torch::where(is_state, alpha, torch::ones_like(alpha)).to(torch::kFloat);
}

void StreamingLoss::count_states(const std::array<double, 3>& targets) {
  for (size_t c = 0; c < targets.size(); ++c) running_counts_[c] += targets[c];
}

LossTerms StreamingLoss::operator()(const SupervisedRows& rows, const Tensor& head_weight,
                                    double denominator) {
  check_shapes(rows, head_weight);
  const bool recording = torch::GradMode::is_enabled();
  const PassOptions options{config_.gamma, denominator, config_.chunk_rows,
                            recording && rows.hidden_states.requires_grad(),
                            recording && head_weight.requires_grad()};
  Pass pass;
  {
    const torch::NoGradGuard no_grad;
    const Tensor is_state = rows.states >= 0;
    const auto type = arithmetic_type(rows.hidden_states);
    const Tensor alpha = class_weights(rows.states, rows.samples).to(type);
    const auto run =
        CpuHead::applies(rows.hidden_states, head_weight) ? run_in_blocks : run_over_rows;
    pass = run(rows.hidden_states, head_weight, rows.targets, is_state, alpha, options);
    pass.weights = torch::where(is_state, focal_weight(pass.token_loss, alpha, config_.gamma),
                                torch::ones_like(alpha));
    // Summed in double so that neither the chunk size nor the number of rows shows in the result.
    const Tensor sum = (pass.weights.to(torch::kDouble) * pass.token_loss.to(torch::kDouble)).sum();
    pass.loss = (sum / denominator).to(type);
  }
  const Tensor loss = PrecomputedGradients::apply(rows.hidden_states, head_weight, pass);
  return {loss, pass.token_loss, pass.predictions, pass.weights};
}

}  // namespace streamo::loss
