// Apart from the rest, because its header needs those of NCCL and CUDA.
#include "parallel/rendezvous.h"
#include "streamo/core/error.h"

#ifdef USE_C10D_NCCL
#include <cstdlib>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

namespace streamo::parallel {

#ifdef USE_C10D_NCCL
GroupPtr form_nccl_group(const StorePtr& store, const std::string& name, int rank, int size,
                         at::Device device) {
  // c10d's own watch over collectives ends a process with stacks and without the culprit's name;
  // ours (watch.h) does it. NoHandling, in ProcessGroupNCCL.hpp.
  ::setenv("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0", /*overwrite=*/0);
  auto group = c10::make_intrusive<c10d::ProcessGroupNCCL>(
      c10::make_intrusive<c10d::PrefixStore>("nccl-" + name, store), rank, size);
  group->setBoundDeviceId(device);
  return group;
}
#else
GroupPtr form_nccl_group(const StorePtr&, const std::string&, int, int, at::Device) {
  // Without LibTorch's CUDA part no tensor is ever on a GPU.
  STREAMO_CHECK(false, "a GPU in a build without NCCL");
}
#endif

}  // namespace streamo::parallel
