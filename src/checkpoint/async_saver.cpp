// Double buffering: tensors are copied into host buffers (pinned for CUDA) that are reused from
// save to save, and std::async writes those to disk.
#include "checkpoint/async_saver.h"

#include <future>
#include <optional>

#include "core/log.h"

namespace streamo::checkpoint {
namespace {

using Tensors = std::map<std::string, torch::Tensor>;

torch::Tensor host_buffer(const torch::Tensor& like) {
  const auto options = torch::TensorOptions(like.scalar_type());
  return torch::empty(like.sizes(), options.pinned_memory(like.is_cuda()));
}

bool is_unshared(const torch::Tensor& tensor) {
  return tensor.is_cpu() && tensor.use_count() == 1 && tensor.storage().use_count() == 1;
}

// Into `buffers`, which end up with the names, shapes and types of `tensors`.
void take_to_host(Tensors& tensors, Tensors& buffers) {
  const torch::NoGradGuard no_grad;
  std::erase_if(buffers, [&](const auto& item) { return !tensors.contains(item.first); });
  for (auto& [name, tensor] : tensors) {
    torch::Tensor& buffer = buffers[name];
    if (is_unshared(tensor)) {
      buffer = std::move(tensor);
      continue;
    }
    if (!buffer.defined() || buffer.sizes() != tensor.sizes() ||
        buffer.scalar_type() != tensor.scalar_type()) {
      buffer = host_buffer(tensor);
    }
    buffer.copy_(tensor);
  }
}

}  // namespace

struct AsyncSaver::Impl {
  explicit Impl(const SnapshotStore& store) : store(store) {}

  // Takes in how the save under way ended.
  void finish() {
    if (!under_way.valid()) return;
    failure = under_way.get();
    failures = failure ? failures + 1 : 0;
  }

  // In the thread.
  std::optional<core::Error> write(double pause) const {
    const double started = core::monotonic_seconds();
    try {
      store.save(buffers);
    } catch (const core::Error& error) {
      if (error.kind() != core::ErrorKind::kDisk) throw;
      core::log_warning("checkpoint-{} is not saved, older ones are intact: {}", buffers.step,
                        error.summary());
      return error;
    }
    core::log_info("checkpoint-{} saved: {:.1f} MB, training paused {:.3f} s, written in {:.3f} s",
                   buffers.step, static_cast<double>(tensor_bytes(buffers)) / 1e6, pause,
                   core::monotonic_seconds() - started);
    return std::nullopt;
  }

  const SnapshotStore& store;
  Snapshot buffers;  // the thread's while a save is under way
  std::future<std::optional<core::Error>> under_way;
  std::optional<core::Error> failure;  // of the last save
  int failures = 0;                    // in a row
};

AsyncSaver::AsyncSaver(const SnapshotStore& store) : impl_(std::make_unique<Impl>(store)) {}
AsyncSaver::~AsyncSaver() = default;  // std::async's future waits

void AsyncSaver::start(Snapshot snapshot) {
  const double started = core::monotonic_seconds();
  impl_->finish();
  if (impl_->failures >= kFailuresInARow) throw *impl_->failure;
  impl_->buffers.step = snapshot.step;
  impl_->buffers.trainer_state = std::move(snapshot.trainer_state);
  take_to_host(snapshot.weights, impl_->buffers.weights);
  take_to_host(snapshot.optimizer, impl_->buffers.optimizer);
  const double pause = core::monotonic_seconds() - started;
  impl_->under_way =
      std::async(std::launch::async, [impl = impl_.get(), pause] { return impl->write(pause); });
}

bool AsyncSaver::wait() {
  impl_->finish();
  return !impl_->failure;
}

void AsyncSaver::require_saved() {
  if (!wait()) throw *impl_->failure;
}

}  // namespace streamo::checkpoint
