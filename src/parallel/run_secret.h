// What the processes of a run know and nobody else: STREAMO_RUN_SECRET. It is never sent; who has
// it proves so over numbers that are drawn anew for each connection.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace streamo::parallel {

using Nonce = std::array<uint8_t, 32>;
using Proof = std::array<uint8_t, 32>;

Nonce draw_nonce();

// HMAC-SHA256. `role` keeps an answer of one end from being given back as that of the other.
Proof prove(const std::string& secret, std::string_view role, const Nonce& of_server,
            const Nonce& of_client);
// In a time that does not tell where they differ.
bool equal(const Proof& a, const Proof& b);

}  // namespace streamo::parallel
