// One file over HTTP on this machine: enough of HTTP/1.1 (RFC 9110, 14.2) for a video to be read
// and sought in, with the faults a server can have.
#pragma once

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace streamo::test {

class HttpFileServer {
 public:
  enum class Manner {
    kGood,
    kStalls,   // after the first half of what was asked for
    kBusy,     // 503 to the first two requests
    kEndless,  // without a length, from the beginning to the end, as a live stream is
  };

  HttpFileServer(const std::filesystem::path& path, Manner manner) : manner_(manner) {
    std::ifstream file(path, std::ios::binary);
    content_.assign(std::istreambuf_iterator<char>(file), {});
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    if (::bind(socket_, any, size) < 0 || ::listen(socket_, 16) < 0 ||
        ::getsockname(socket_, any, &size) < 0) {
      throw std::runtime_error("cannot listen on 127.0.0.1");
    }
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
  }

  ~HttpFileServer() {
    stopping_ = true;
    ::shutdown(socket_, SHUT_RDWR);
    acceptor_.join();
    for (const int connection : connections_) ::shutdown(connection, SHUT_RDWR);
    for (std::thread& thread : threads_) thread.join();
    for (const int connection : connections_) ::close(connection);
    ::close(socket_);
  }

  HttpFileServer(const HttpFileServer&) = delete;
  HttpFileServer& operator=(const HttpFileServer&) = delete;

  int port() const { return port_; }
  int requests() const { return requests_; }

 private:
  void accept_all() {
    for (;;) {
      const int connection = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0 || stopping_) return;
      connections_.push_back(connection);
      threads_.emplace_back([this, connection] {
        answer(connection);
        ::shutdown(connection, SHUT_RDWR);
      });
    }
  }

  void answer(int connection) {
    std::string request;
    while (request.find("\r\n\r\n") == std::string::npos) {
      char c = 0;
      if (::recv(connection, &c, 1, 0) <= 0) return;
      request += c;
    }
    if (++requests_ <= 2 && manner_ == Manner::kBusy) {
      const std::string busy =
          "HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
      ::send(connection, busy.data(), busy.size(), MSG_NOSIGNAL);
      return;
    }
    constexpr const char* kRange = "Range: bytes=";
    const size_t range = request.find(kRange);
    size_t from = 0;
    if (range != std::string::npos) {
      from = std::strtoul(request.c_str() + range + std::string(kRange).size(), nullptr, 10);
    }
    from = std::min(from, content_.size());
    std::string head = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
    if (manner_ != Manner::kEndless) {
      head = fmt::format(
          "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nAccept-Ranges: bytes\r\n"
          "Content-Length: {}\r\nContent-Range: bytes {}-{}/{}\r\n",
          content_.size() - from, from, content_.size() - 1, content_.size());
    }
    std::string body = content_.substr(from);
    if (manner_ == Manner::kStalls) body.resize(body.size() / 2);
    const std::string reply = head + "\r\n" + body;
    ::send(connection, reply.data(), reply.size(), MSG_NOSIGNAL);
    char c = 0;
    if (manner_ == Manner::kStalls) static_cast<void>(::recv(connection, &c, 1, 0));
  }

  Manner manner_;
  std::string content_;
  int socket_ = -1, port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<int> requests_{0};
  std::thread acceptor_;
  std::vector<int> connections_;
  std::vector<std::thread> threads_;
};

}  // namespace streamo::test
