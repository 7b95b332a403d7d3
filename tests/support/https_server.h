// The files of a folder over HTTPS on this machine, under a certificate that nobody vouches for.
#pragma once

#include <signal.h>
#include <stdio.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "support/run_command.h"

namespace streamo::test {

class HttpsServer {
 public:
  explicit HttpsServer(const std::filesystem::path& folder) : folder_(folder) {
    std::ofstream(folder / "serve.py") << R"(
import http.server, os, ssl
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("certificate.pem", "key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
print(os.getpid(), server.server_address[1], flush=True)
server.serve_forever()
)";
    const CommandResult made =
        run_in(folder,
               "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out certificate.pem "
               "-days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1");
    if (made.exit_code != 0) return;
    output_ =
        ::popen(("cd " + shell_quote(folder.string()) + " && exec python3 serve.py").c_str(), "r");
    if (output_ == nullptr || ::fscanf(output_, "%d %d", &process_, &port_) != 2) port_ = 0;
  }
  ~HttpsServer() {
    if (process_ > 0) ::kill(process_, SIGKILL);
    if (output_ != nullptr) ::pclose(output_);
  }
  HttpsServer(const HttpsServer&) = delete;
  HttpsServer& operator=(const HttpsServer&) = delete;

  bool expired() const { return port_ > 0; }  // openssl and python3 are there
  std::string url(const std::string& name) const {
    return "https://localhost:" + std::to_string(port_) + "/" + name;
  }
  std::filesystem::path certificate() const { return folder_ / "certificate.pem"; }

 private:
  std::filesystem::path folder_;
  FILE* output_ = nullptr;
  int process_ = 0, port_ = 0;
};

}  // namespace streamo::test
