#include "rendezvous.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "streamo/core/error.h"

namespace streamo::dist {
namespace {

// The address of this machine that the others can reach: the one it has towards the master.
std::string address_towards(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return host;
  std::string address = host;
  for (const addrinfo* to = found; to != nullptr; to = to->ai_next) {
    const int probe = ::socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_storage own{};
    socklen_t size = sizeof(own);
    auto* generic = reinterpret_cast<sockaddr*>(&own);
    char text[NI_MAXHOST];
    const bool ok =
        probe >= 0 && ::connect(probe, to->ai_addr, to->ai_addrlen) == 0 &&
        ::getsockname(probe, generic, &size) == 0 &&
        ::getnameinfo(generic, size, text, sizeof(text), nullptr, 0, NI_NUMERICHOST) == 0;
    if (probe >= 0) ::close(probe);
    if (!ok) continue;
    address = text;
    break;
  }
  ::freeaddrinfo(found);
  return address;
}

constexpr const char* kRefused = "refused";
constexpr unsigned kTimeToReadSeconds = 5;

std::vector<uint8_t> bytes_of(const std::string& text) {
  return {text.begin(), text.end()};
}

[[noreturn]] void refuse(c10d::Store& store, const std::string& what, const Launch& launch) {
  store.set(kRefused, bytes_of(what));
  let_others_read(launch.rank);
  throw core::Error(
      core::ErrorKind::kUsage, what,
      fmt::format("rank {} of {}, master {}:{} (from {})", launch.rank, launch.world_size,
                  launch.master_address, launch.master_port, launch.launcher),
      "start all machines with the same number of processes (NNODES, "
      "NPROC_PER_NODE), and each with a NODE_RANK of its own");
}

}  // namespace

void claim_place(c10d::Store& store, const Launch& launch) {
  const std::string own = std::to_string(launch.world_size);
  const std::vector<uint8_t> set = store.compareSet("world", {}, bytes_of(own));
  if (const std::string of_others(set.begin(), set.end()); of_others != own) {
    refuse(store,
           fmt::format("a process was started as one of {}, another as one of {}", own, of_others),
           launch);
  }
  if (store.add(fmt::format("place/{}", launch.rank), 1) > 1)
    refuse(store, fmt::format("two processes were started as rank {}", launch.rank), launch);
}

std::string refusal(c10d::Store& store) {
  if (!store.check({kRefused})) return "";
  const std::vector<uint8_t> what = store.get(kRefused);
  return {what.begin(), what.end()};
}

void let_others_read(int rank) {
  if (rank == 0) ::sleep(kTimeToReadSeconds);
}

std::string reason_of(const std::exception& error) {
  const auto* from_torch = dynamic_cast<const c10::Error*>(&error);
  return from_torch != nullptr ? from_torch->what_without_backtrace() : error.what();
}

StorePtr connect_store(const Launch& launch, bool serve, std::chrono::seconds patience) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(launch.master_port);
  options.isServer = serve;
  options.waitWorkers = false;
  options.timeout = patience;
  return c10::make_intrusive<c10d::PrefixStore>(
      fmt::format("streamo-{}", launch.restart),
      c10::make_intrusive<c10d::TCPStore>(launch.master_address, options));
}

std::shared_ptr<gloo::transport::Device> gloo_device_towards(const Launch& launch) {
  return c10d::ProcessGroupGloo::createDeviceForHostname(
      address_towards(launch.master_address, launch.master_port));
}

GroupPtr form_gloo_group(const StorePtr& store, const std::string& name, int rank, int size,
                         const std::shared_ptr<gloo::transport::Device>& device,
                         std::chrono::milliseconds patience) {
  auto options = c10d::ProcessGroupGloo::Options::create(patience);
  options->devices.push_back(device);
  return c10::make_intrusive<c10d::ProcessGroupGloo>(
      c10::make_intrusive<c10d::PrefixStore>(name, store), rank, size, options);
}

}  // namespace streamo::dist
