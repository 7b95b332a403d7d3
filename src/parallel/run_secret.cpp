// Proves that a process knows the run's secret, by FFmpeg's HMAC.
#include "parallel/run_secret.h"

#include <sys/random.h>

#include <memory>
#include <new>

#include "streamo/core/error.h"

extern "C" {
#include <libavutil/hmac.h>
}

namespace streamo::parallel {

Nonce draw_nonce() {
  Nonce nonce;
  STREAMO_CHECK(::getrandom(nonce.data(), nonce.size(), 0) == ssize_t{nonce.size()},
                "the system has no random numbers");
  return nonce;
}

Proof prove(const std::string& secret, std::string_view role, const Nonce& of_server,
            const Nonce& of_client) {
  const std::unique_ptr<AVHMAC, decltype(&av_hmac_free)> hmac(av_hmac_alloc(AV_HMAC_SHA256),
                                                              av_hmac_free);
  if (!hmac) throw std::bad_alloc();
  const auto bytes = [](std::string_view text) {
    return reinterpret_cast<const uint8_t*>(text.data());
  };
  av_hmac_init(hmac.get(), bytes(secret), static_cast<unsigned>(secret.size()));
  av_hmac_update(hmac.get(), bytes(role), static_cast<unsigned>(role.size()));
  av_hmac_update(hmac.get(), of_server.data(), of_server.size());
  av_hmac_update(hmac.get(), of_client.data(), of_client.size());
  Proof proof;
  av_hmac_final(hmac.get(), proof.data(), proof.size());
  return proof;
}

bool equal(const Proof& a, const Proof& b) {
  unsigned different = 0;
  for (size_t i = 0; i < a.size(); ++i) different |= static_cast<unsigned>(a[i] ^ b[i]);
  return different == 0;
}

}  // namespace streamo::parallel
