// The store of a run, as rank 0 holds it: keys and values, for whoever knows the run's secret.
//
// LibTorch's own, TCPStore, believes everybody who can reach its port, and tells them its keys.
#pragma once

#include <memory>
#include <string>

#include "parallel/store_wire.h"

namespace streamo::parallel {

// A socket that listens where the processes of the run look for rank 0, and nowhere else: at the
// address of `host` that is this machine's. A name that leads to loopback only, or to an address
// that is not this machine's own (a forwarded one), says nothing of the interface: then on all.
// Throws std::runtime_error when the port is taken.
Socket listen_at(const std::string& host, int port);

class StoreServer {
 public:
  StoreServer(Socket listening, std::string secret);
  ~StoreServer();  // hangs up
  StoreServer(const StoreServer&) = delete;
  StoreServer& operator=(const StoreServer&) = delete;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace streamo::parallel
