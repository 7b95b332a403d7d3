// Sockets, handshake and messages of the store of a run.
#include "parallel/store_wire.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <utility>

#include "core/io/byte_codec.h"
#include "parallel/run_secret.h"

namespace streamo::parallel {
namespace {

constexpr uint32_t kMaxMessage = 64 << 20;
constexpr std::array<char, 8> kMagic = {'S', 't', 'r', 'e', 'a', 'm', 'o', '1'};
constexpr const char *kServer = "streamo server", *kClient = "streamo client";

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what);
}

void wait_readable(int descriptor, Deadline deadline) {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd wanted{descriptor, POLLIN, 0};
    const int ready = ::poll(&wanted, 1, static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if (ready > 0) return;
    if (ready == 0) fail("no answer in time");
    if (errno != EINTR) fail(std::strerror(errno));
  }
}

}  // namespace

Socket::~Socket() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Socket::Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

void Socket::send(const void* bytes, size_t size) const {
  const auto* next = static_cast<const char*>(bytes);
  while (size > 0) {
    const ssize_t sent = ::send(descriptor_, next, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) fail(std::strerror(errno));
    next += sent;
    size -= static_cast<size_t>(sent);
  }
}

void Socket::receive(void* bytes, size_t size, std::optional<Deadline> deadline) const {
  auto* next = static_cast<char*>(bytes);
  while (size > 0) {
    if (deadline) wait_readable(descriptor_, *deadline);
    const ssize_t got = ::recv(descriptor_, next, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(std::strerror(errno));
    if (got == 0) fail("the other end has closed the connection");
    next += got;
    size -= static_cast<size_t>(got);
  }
}

void send_at_once(const Socket& socket) {
  const int yes = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
}

bool any_address(const std::string& host, int port,
                 const std::function<bool(const sockaddr&, socklen_t)>& use) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (error != 0)
    fail(fmt::format("the address of {} is unknown: {}", host, ::gai_strerror(error)));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> found(list, ::freeaddrinfo);
  for (const addrinfo* to = list; to != nullptr; to = to->ai_next) {
    if (use(*to->ai_addr, to->ai_addrlen)) return true;
  }
  return false;
}

bool is_loopback(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
  }
  return address.sa_family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
}

std::string numeric(const sockaddr& address, socklen_t size) {
  std::array<char, NI_MAXHOST> text{};
  const int error =
      ::getnameinfo(&address, size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST);
  return error == 0 ? text.data() : "an unknown address";
}

Listening where(const Socket& listening) {
  sockaddr_storage own{};
  socklen_t size = sizeof(own);
  auto& address = reinterpret_cast<sockaddr&>(own);
  if (::getsockname(listening.get(), &address, &size) != 0) fail(std::strerror(errno));
  const in_port_t port = own.ss_family == AF_INET6
                             ? reinterpret_cast<const sockaddr_in6&>(own).sin6_port
                             : reinterpret_cast<const sockaddr_in&>(own).sin_port;
  return {ntohs(port), is_loopback(address)};
}

void send(const Socket& socket, const Message& message) {
  core::ByteWriter writer;
  writer.number(static_cast<uint8_t>(message.op));
  writer.number(message.number);
  for (const std::string& text : message.texts) writer.text(text);
  const std::string& content = writer.bytes();
  if (content.size() > kMaxMessage) fail("a message is too large");
  core::ByteWriter whole;
  whole.text(content);
  socket.send(whole.bytes().data(), whole.bytes().size());
}

Message receive(const Socket& socket) {
  uint32_t size = 0;
  socket.receive(&size, sizeof(size), std::nullopt);
  if (size > kMaxMessage) fail("a message is too large");
  std::string bytes(size, '\0');
  socket.receive(bytes.data(), size, std::nullopt);
  core::ByteReader reader(bytes);
  Message message;
  message.op = static_cast<Op>(reader.number<uint8_t>());
  message.number = reader.number<int64_t>();
  while (!reader.at_end()) message.texts.push_back(reader.text());
  return message;
}

bool greet_client(const Socket& socket, const std::string& secret, Deadline deadline) {
  const Nonce own = draw_nonce();
  socket.send(kMagic.data(), kMagic.size());
  socket.send(own.data(), own.size());
  Nonce of_client;
  Proof proof;
  socket.receive(of_client.data(), of_client.size(), deadline);
  socket.receive(proof.data(), proof.size(), deadline);
  if (!equal(proof, prove(secret, kClient, own, of_client))) return false;
  const Proof answer = prove(secret, kServer, own, of_client);
  socket.send(answer.data(), answer.size());
  return true;
}

bool greet_server(const Socket& socket, const std::string& secret, Deadline deadline) {
  std::array<char, kMagic.size()> magic{};
  Nonce of_server;
  socket.receive(magic.data(), magic.size(), deadline);
  if (magic != kMagic) fail("something else listens there, no run of this program");
  socket.receive(of_server.data(), of_server.size(), deadline);
  const Nonce own = draw_nonce();
  const Proof proof = prove(secret, kClient, of_server, own);
  socket.send(own.data(), own.size());
  socket.send(proof.data(), proof.size());
  Proof answer;
  try {
    socket.receive(answer.data(), answer.size(), deadline);
  } catch (const std::runtime_error&) {
    return false;  // it has hung up: our proof does not satisfy it
  }
  return equal(answer, prove(secret, kServer, of_server, own));
}

}  // namespace streamo::parallel
