// One GPU a process, or the CPU.
#include "streamo/model/device.h"

#include <fmt/format.h>

#include "streamo/core/error.h"

namespace streamo::model {

torch::Device available_device(int local_rank) {
  if (!torch::cuda::is_available()) return torch::kCPU;
  const auto devices = static_cast<int>(torch::cuda::device_count());
  if (local_rank >= devices) {
    throw core::Error(core::ErrorKind::kUsage, "there are fewer GPUs than processes",
                      fmt::format("local rank {} of {} GPUs", local_rank, devices),
                      "start as many processes as there are GPUs on each machine");
  }
  return {torch::kCUDA, static_cast<c10::DeviceIndex>(local_rank)};
}

}  // namespace streamo::model
