// A process's connection to the store of its run.
#include "parallel/store_client.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>
#include <thread>
#include <utility>

#include "streamo/core/error.h"

namespace streamo::parallel {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kRetry{50};
// To connect to a machine that does not answer at all.
constexpr timeval kConnect{10, 0};

std::string to_text(const std::vector<uint8_t>& bytes) {
  return {bytes.begin(), bytes.end()};
}

std::vector<uint8_t> to_byte_vector(const std::string& text) {
  return {text.begin(), text.end()};
}

Socket connect_once(const std::string& host, int port) {
  Socket socket;
  any_address(host, port, [&](const sockaddr& address, socklen_t size) {
    Socket made(::socket(address.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ::setsockopt(made.get(), SOL_SOCKET, SO_SNDTIMEO, &kConnect, sizeof(kConnect));
    if (!made || ::connect(made.get(), &address, size) != 0) return false;
    send_at_once(made);
    socket = std::move(made);
    return true;
  });
  return socket;
}

Socket connect(const std::string& host, int port, Deadline deadline) {
  for (;;) {
    std::string reason = "nobody listens there";
    try {
      if (Socket socket = connect_once(host, port)) return socket;
    } catch (const std::runtime_error& unknown) {
      reason = unknown.what();
    }
    if (steady_clock::now() >= deadline) throw std::runtime_error(reason);
    std::this_thread::sleep_for(kRetry);
  }
}

}  // namespace

StoreClient::StoreClient(std::string host, int port, std::string secret, milliseconds patience)
    : Store(patience), host_(std::move(host)), secret_(std::move(secret)), port_(port) {
  const auto deadline = steady_clock::now() + patience;
  socket_ = connect(host_, port_, deadline);
  if (greet_server(socket_, secret_, deadline)) return;
  throw core::Error(core::ErrorKind::kUsage,
                    "rank 0 and this process do not have the same run secret",
                    fmt::format("STREAMO_RUN_SECRET, master {}:{}", host_, port_),
                    "give all processes of the run the same one, or none");
}

c10::intrusive_ptr<c10d::Store> StoreClient::clone() {
  return c10::make_intrusive<StoreClient>(host_, port_, secret_, timeout_);
}

Message StoreClient::ask(const Message& message) {
  const std::lock_guard lock(mutex_);
  send(socket_, message);
  return receive(socket_);  // a store that is cut off is for the watch to notice
}

void StoreClient::set(const std::string& key, const std::vector<uint8_t>& value) {
  ask({.op = Op::kSet, .texts = {key, to_text(value)}});
}

std::vector<uint8_t> StoreClient::compareSet(const std::string& key,
                                             const std::vector<uint8_t>& expected,
                                             const std::vector<uint8_t>& desired) {
  return to_byte_vector(
      ask({.op = Op::kCompareSet, .texts = {key, to_text(expected), to_text(desired)}})
          .texts.at(0));
}

std::vector<uint8_t> StoreClient::get(const std::string& key) {
  const Message reply = ask({.op = Op::kGet, .number = timeout_.count(), .texts = {key}});
  if (reply.number == 0) throw std::runtime_error(fmt::format("{} was not said in time", key));
  return to_byte_vector(reply.texts.at(0));
}

int64_t StoreClient::add(const std::string& key, int64_t value) {
  return ask({.op = Op::kAdd, .number = value, .texts = {key}}).number;
}

bool StoreClient::deleteKey(const std::string& key) {
  return ask({.op = Op::kDelete, .texts = {key}}).number != 0;
}

bool StoreClient::check(const std::vector<std::string>& keys) {
  return ask({.op = Op::kCheck, .texts = keys}).number != 0;
}

int64_t StoreClient::getNumKeys() {
  return ask({.op = Op::kCount}).number;
}

void StoreClient::wait(const std::vector<std::string>& keys) {
  wait(keys, timeout_);
}

void StoreClient::wait(const std::vector<std::string>& keys, const milliseconds& timeout) {
  if (ask({.op = Op::kWait, .number = timeout.count(), .texts = keys}).number == 0)
    throw std::runtime_error(fmt::format("{} was not said in time", fmt::join(keys, ", ")));
}

}  // namespace streamo::parallel
