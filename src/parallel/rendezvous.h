// How the processes of a run find each other, and the groups of c10d in which they exchange: Gloo
// for tensors in host memory, NCCL for those of a GPU.
#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <exception>
#include <memory>
#include <string>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include "parallel/launch.h"
#include "parallel/store_server.h"

namespace gloo::transport {
class Device;
}

namespace streamo::parallel {

using StorePtr = c10::intrusive_ptr<c10d::Store>;
using GroupPtr = c10::intrusive_ptr<c10d::Backend>;

// Where the processes of a run come together, and exchange who they are and what they do.
struct StoreAddress {
  std::string host;
  int port = 0;
  std::unique_ptr<StoreServer> served;  // by this process, if it is rank 0
};
// Listens on loopback alone in a run on one machine, else on the interface of the master's address.
StoreAddress find_store(const Launch& launch, std::chrono::seconds patience);

// A connection to the store of the run.
StorePtr connect_store(const Launch& launch, const StoreAddress& meeting,
                       std::chrono::seconds patience);

// Takes this process's place in the run: of all that come to one store each must have a rank of its
// own, and all the same number of ranks. Else throws core::Error{kUsage}, and leaves the reason in
// the store for the others, who may be complete without this process.
void register_rank(c10d::Store& store, const Launch& launch);
// What another process has said, as it can be shown to people.
std::string told(c10d::Store& store, const std::string& key);
// Why some process was refused; "" as long as none was.
std::string refusal(c10d::Store& store);
// To be called before a process ends because of a refusal: rank 0, who serves the store, waits
// until those who come a little later have read it too.
void linger_for_readers(int rank);

// Without the stack that LibTorch puts into its messages.
std::string error_text(const std::exception& error);

// The interface of this machine that reaches the master: Gloo listens on it.
std::shared_ptr<gloo::transport::Device> gloo_device_towards(const Launch& launch);

// `name` is the group's own in the store.
GroupPtr form_gloo_group(const StorePtr& store, const std::string& name, int rank, int size,
                         const std::shared_ptr<gloo::transport::Device>& device,
                         std::chrono::milliseconds patience);

// Connects its ranks when they first exchange something. Only in a build with the CUDA part of
// LibTorch.
GroupPtr form_nccl_group(const StorePtr& store, const std::string& name, int rank, int size,
                         at::Device device);

}  // namespace streamo::parallel
