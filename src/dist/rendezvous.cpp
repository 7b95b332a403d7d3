#include "rendezvous.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

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

}  // namespace

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
