// Finds the address and port of the store, checks that the ranks were launched as one run, and
// builds the c10d process groups on it.
#include "parallel/rendezvous.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "core/log.h"
#include "parallel/store_client.h"
#include "streamo/core/error.h"

namespace streamo::parallel {
namespace {

// The address of this machine that the others can reach: the one it has towards the master.
// connect() on a UDP socket sends nothing; it makes the kernel choose a route, whose local address
// getsockname() reports. The host's own name would not do: it often resolves to a loopback address.
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

std::vector<uint8_t> to_byte_vector(const std::string& text) {
  return {text.begin(), text.end()};
}

constexpr const char* kLoopback = "127.0.0.1";

std::string own_address(const Launch& launch) {
  return launch.one_machine ? kLoopback
                            : address_towards(launch.master_address, launch.master_port);
}

// torchrun's store outlives a restart: without the count, a restarted run would find the keys of
// the attempt before it.
std::string store_prefix(const Launch& launch) {
  return fmt::format("streamo-{}", launch.restart);
}

std::unique_ptr<StoreServer> serve_store(const Launch& launch, Socket listening) {
  const auto [port, on_loopback] = where(listening);
  if (launch.secret.empty() && !on_loopback) {
    core::log_warning(
        "the run has no secret: whoever reaches port {} of this machine can take part in it, or "
        "end it; set STREAMO_RUN_SECRET to the same random text for all of its processes",
        port);
  }
  return std::make_unique<StoreServer>(std::move(listening), launch.secret);
}

// At the master's port is a store of torchrun's agent, which knows no secrets: it only tells where
// ours is.
StoreAddress find_store_of_agent(const Launch& launch, std::chrono::seconds patience) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(launch.master_port);
  options.waitWorkers = false;
  options.timeout = patience;
  c10d::TCPStore agent(launch.master_address, options);
  const std::string key = store_prefix(launch) + "-meeting";
  if (launch.rank == 0) {
    Socket listening = listen_at(own_address(launch), 0);
    StoreAddress meeting{own_address(launch), where(listening).port, nullptr};
    meeting.served = serve_store(launch, std::move(listening));
    agent.set(key, to_byte_vector(fmt::format("{} {}", meeting.host, meeting.port)));
    return meeting;
  }
  const std::vector<uint8_t> told = agent.get(key);
  std::istringstream text(std::string(told.begin(), told.end()));
  StoreAddress meeting;
  if (!(text >> meeting.host >> meeting.port)) throw std::runtime_error("rank 0 is not named");
  return meeting;
}

constexpr const char* kRefused = "refused";
constexpr unsigned kTimeToReadSeconds = 5;

// The reason goes into the store, where ranks that still wait for this one find it. Rank 0 serves
// the store and must stay until they have read it.
[[noreturn]] void refuse(c10d::Store& store, const std::string& what, const Launch& launch) {
  store.set(kRefused, to_byte_vector(what));
  linger_for_readers(launch.rank);
  throw core::Error(
      core::ErrorKind::kUsage, what,
      fmt::format("rank {} of {}, master {}:{} (from {})", launch.rank, launch.world_size,
                  launch.master_address, launch.master_port, launch.launcher),
      "start all machines with the same number of processes (NNODES, "
      "NPROC_PER_NODE), and each with a NODE_RANK of its own");
}

}  // namespace

void register_rank(c10d::Store& store, const Launch& launch) {
  const std::string own = std::to_string(launch.world_size);
  // Sets the key only if nobody has: the first process decides, and all see its value.
  const std::vector<uint8_t> set = store.compareSet("world", {}, to_byte_vector(own));
  if (const std::string of_others(set.begin(), set.end()); of_others != own) {
    refuse(store,
           fmt::format("a process was started as one of {}, another as one of {}", own, of_others),
           launch);
  }
  if (store.add(fmt::format("place/{}", launch.rank), 1) > 1)
    refuse(store, fmt::format("two processes were started as rank {}", launch.rank), launch);
}

// What another process wrote goes into errors and logs, so its length is bounded.
std::string told(c10d::Store& store, const std::string& key) {
  constexpr size_t kLongest = 4096;
  const std::vector<uint8_t> text = store.get(key);
  return {text.begin(), text.begin() + static_cast<ptrdiff_t>(std::min(text.size(), kLongest))};
}

std::string refusal(c10d::Store& store) {
  return store.check({kRefused}) ? told(store, kRefused) : "";
}

void linger_for_readers(int rank) {
  if (rank == 0) ::sleep(kTimeToReadSeconds);
}

// c10's what() includes a C++ stack trace, which is noise in an error for a user.
std::string error_text(const std::exception& error) {
  const auto* from_torch = dynamic_cast<const c10::Error*>(&error);
  return from_torch != nullptr ? from_torch->what_without_backtrace() : error.what();
}

StoreAddress find_store(const Launch& launch, std::chrono::seconds patience) {
  if (launch.agent_serves_store) return find_store_of_agent(launch, patience);
  const std::string host = launch.one_machine ? kLoopback : launch.master_address;
  StoreAddress meeting{host, launch.master_port, nullptr};
  if (launch.rank == 0) meeting.served = serve_store(launch, listen_at(host, launch.master_port));
  return meeting;
}

StorePtr connect_store(const Launch& launch, const StoreAddress& meeting,
                       std::chrono::seconds patience) {
  return c10::make_intrusive<c10d::PrefixStore>(
      store_prefix(launch),
      c10::make_intrusive<StoreClient>(meeting.host, meeting.port, launch.secret, patience));
}

std::shared_ptr<gloo::transport::Device> gloo_device_towards(const Launch& launch) {
  return c10d::ProcessGroupGloo::createDeviceForHostname(own_address(launch));
}

GroupPtr form_gloo_group(const StorePtr& store, const std::string& name, int rank, int size,
                         const std::shared_ptr<gloo::transport::Device>& device,
                         std::chrono::milliseconds patience) {
  auto options = c10d::ProcessGroupGloo::Options::create(patience);
  options->devices.push_back(device);
  return c10::make_intrusive<c10d::ProcessGroupGloo>(
      c10::make_intrusive<c10d::PrefixStore>(name, store), rank, size, options);
}

}  // namespace streamo::parallel
