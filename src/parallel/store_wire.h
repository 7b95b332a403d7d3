// What the store of a run and those who use it send each other: sockets, the handshake, and
// messages.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace streamo::parallel {

using Deadline = std::chrono::steady_clock::time_point;

class Socket {
 public:
  Socket() = default;
  explicit Socket(int opened) : descriptor_(opened) {}
  ~Socket();
  Socket(Socket&& other) noexcept;
  Socket& operator=(Socket&& other) noexcept;
  explicit operator bool() const { return descriptor_ >= 0; }
  int get() const { return descriptor_; }

  // Throw std::runtime_error when the other end is gone or `deadline`, if any, is over.
  void send(const void* bytes, size_t size) const;
  void receive(void* bytes, size_t size, std::optional<Deadline> deadline) const;

 private:
  int descriptor_ = -1;
};

// Requests are short and waited for: none is held back to be sent with the next.
void send_at_once(const Socket& socket);

// Where it listens.
struct Listening {
  int port = 0;
  bool on_loopback = false;  // nobody elsewhere reaches it
};
Listening where(const Socket& listening);

// Calls `use` with the addresses of a host, one after the other, until it returns true. False: none
// did. Throws std::runtime_error when the name is unknown.
bool any_address(const std::string& host, int port,
                 const std::function<bool(const sockaddr&, socklen_t)>& use);
bool is_loopback(const sockaddr& address);
std::string numeric(const sockaddr& address, socklen_t size);  // "10.0.0.5"

enum class Op : uint8_t { kSet, kGet, kAdd, kCheck, kWait, kCompareSet, kDelete, kCount };

struct Message {
  Op op = Op::kSet;
  int64_t number = 0;  // milliseconds to wait, what to add, a count or a yes (1)
  std::vector<std::string> texts = {};
};
void send(const Socket& socket, const Message& message);
Message receive(const Socket& socket);

// The two ends of the handshake: each proves to the other that it knows `secret`, before anything
// it says is read. False: it does not. Throw as Socket does.
bool greet_client(const Socket& socket, const std::string& secret, Deadline deadline);
bool greet_server(const Socket& socket, const std::string& secret, Deadline deadline);

}  // namespace streamo::parallel
