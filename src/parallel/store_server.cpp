// Serves the store of a run: a thread a connection, all on one map.
#include "parallel/store_server.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

#include "core/log.h"

namespace streamo::parallel {
namespace {

constexpr std::chrono::seconds kHandshake{10};
// Connections that have not proved anything yet: who floods the port takes no more than these.
constexpr int kMostStrangers = 256;
constexpr int kMostWarnings = 5;
constexpr std::chrono::milliseconds kNoDescriptors{10};  // of this process, for the moment

Socket listening(const sockaddr& address, socklen_t size) {
  Socket socket(::socket(address.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int yes = 1, no = 0;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  if (address.sa_family == AF_INET6)
    ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
  if (::bind(socket.get(), &address, size) == 0 && ::listen(socket.get(), SOMAXCONN) == 0)
    return socket;
  if (errno == EADDRINUSE) throw std::runtime_error("the port is in use");
  return {};
}

Socket listening_on_all(int port) {
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(static_cast<uint16_t>(port));
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = v6.sin6_port;
  Socket socket = listening(reinterpret_cast<const sockaddr&>(v6), sizeof(v6));
  if (!socket) socket = listening(reinterpret_cast<const sockaddr&>(v4), sizeof(v4));
  if (!socket) throw std::runtime_error(fmt::format("cannot listen: {}", std::strerror(errno)));
  return socket;
}

}  // namespace

Socket listen_at(const std::string& host, int port) {
  Socket socket;
  any_address(host, port, [&](const sockaddr& address, socklen_t size) {
    // Many systems give their own name the address 127.0.1.1, which others do not reach.
    const bool means_loopback = host == "localhost" || host == numeric(address, size);
    if (is_loopback(address) && !means_loopback) return false;
    socket = listening(address, size);
    return bool(socket);
  });
  return socket ? std::move(socket) : listening_on_all(port);
}

struct StoreServer::Impl {
  Impl(Socket socket, std::string run_secret)
      : listening(std::move(socket)), secret(std::move(run_secret)) {}

  Socket listening;
  const std::string secret;
  std::thread acceptor = {};

  std::mutex mutex = {};
  std::condition_variable changed = {};
  std::map<std::string, std::string> values = {};
  std::set<int> connections = {};
  int strangers = 0, warnings = 0;
  bool stopping = false;

  Message answer(const Message& asked);
  // With the lock held: false when not all keys are there in time.
  bool wait_for(std::unique_lock<std::mutex>& lock, const Message& asked) {
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(asked.number);
    return changed.wait_until(lock, deadline, [&] { return stopping || has_all(asked); }) &&
           !stopping;
  }
  bool has_all(const Message& asked) const {
    for (const std::string& key : asked.texts) {
      if (!values.contains(key)) return false;
    }
    return true;
  }
  bool admit(const Socket& client);
  void serve(const Socket& client);
  void warn(const Socket& client);
  static void accept(const std::shared_ptr<Impl>& self);
};

Message StoreServer::Impl::answer(const Message& asked) {
  const auto text = [&](size_t i) -> const std::string& {
    if (i >= asked.texts.size()) throw std::runtime_error("a message is incomplete");
    return asked.texts[i];
  };
  Message reply{.op = asked.op};
  std::unique_lock lock(mutex);
  switch (asked.op) {
    case Op::kSet:
      values[text(0)] = text(1);
      break;
    case Op::kGet:
      reply.number = wait_for(lock, asked) ? 1 : 0;
      if (reply.number == 1) reply.texts = {values.at(text(0))};
      return reply;
    case Op::kWait:
      reply.number = wait_for(lock, asked) ? 1 : 0;
      return reply;
    case Op::kCheck:
      reply.number = has_all(asked) ? 1 : 0;
      return reply;
    case Op::kAdd: {
      std::string& value = values[text(0)];
      reply.number = (value.empty() ? 0 : std::stoll(value)) + asked.number;
      value = std::to_string(reply.number);
      break;
    }
    case Op::kCompareSet: {
      const auto found = values.find(text(0));
      const std::string& expected = text(1);
      if (found == values.end() ? expected.empty() : found->second == expected) {
        values[text(0)] = text(2);
        reply.texts = {text(2)};
      } else {
        reply.texts = {found == values.end() ? expected : found->second};
      }
      break;
    }
    case Op::kDelete:
      reply.number = static_cast<int64_t>(values.erase(text(0)));
      return reply;
    case Op::kCount:
      reply.number = static_cast<int64_t>(values.size());
      return reply;
    default:
      throw std::runtime_error("a message of an unknown kind");
  }
  lock.unlock();
  changed.notify_all();
  return reply;
}

bool StoreServer::Impl::admit(const Socket& client) {
  bool admitted = false;
  try {
    admitted = greet_client(client, secret, std::chrono::steady_clock::now() + kHandshake);
  } catch (const std::exception&) {  // it says nothing, or hung up
  }
  if (!admitted) warn(client);
  const std::lock_guard lock(mutex);
  --strangers;
  return admitted;
}

void StoreServer::Impl::warn(const Socket& client) {
  {
    const std::lock_guard lock(mutex);
    if (stopping || ++warnings > kMostWarnings) return;
  }
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  ::getpeername(client.get(), generic, &size);
  core::log_warning("somebody at {} was turned away: it does not know the secret of this run",
                    numeric(*generic, size));
}

void StoreServer::Impl::serve(const Socket& client) {
  if (!admit(client)) return;
  try {
    for (;;) send(client, answer(receive(client)));
  } catch (const std::exception&) {  // it has ended
  }
}

void StoreServer::Impl::accept(const std::shared_ptr<Impl>& self) {
  for (;;) {
    auto client =
        std::make_shared<Socket>(::accept4(self->listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!*client) std::this_thread::sleep_for(kNoDescriptors);
    const std::lock_guard lock(self->mutex);
    if (self->stopping) return;
    if (!*client || self->strangers >= kMostStrangers) continue;
    send_at_once(*client);
    ++self->strangers;
    self->connections.insert(client->get());
    try {
      std::thread([self, client] {
        self->serve(*client);
        {
          const std::lock_guard done(self->mutex);
          self->connections.erase(client->get());
          *client = Socket();
        }
        self->changed.notify_all();
      }).detach();
    } catch (const std::system_error&) {  // no thread for it: it will come again
      --self->strangers;
      self->connections.erase(client->get());
    }
  }
}

StoreServer::StoreServer(Socket listening, std::string secret)
    : impl_(std::make_shared<Impl>(std::move(listening), std::move(secret))) {
  impl_->acceptor = std::thread([impl = impl_] { Impl::accept(impl); });
}

StoreServer::~StoreServer() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
    for (const int connection : impl_->connections) ::shutdown(connection, SHUT_RDWR);
  }
  impl_->changed.notify_all();
  ::shutdown(impl_->listening.get(), SHUT_RDWR);
  impl_->acceptor.join();
  std::unique_lock lock(impl_->mutex);
  impl_->changed.wait(lock, [this] { return impl_->connections.empty(); });
}

}  // namespace streamo::parallel
