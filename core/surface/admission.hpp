// Whether a gateway key lets a request in: what it is, where it comes from, what it may ask for.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "core/account/directory.hpp"
#include "core/exchange/exchange.hpp"
#include "core/net/http1.hpp"
#include "core/net/ip_range.hpp"

namespace switchyard::surface {

// The value of "Authorization: Bearer ...", or empty.
std::string_view bearer(std::string_view authorization);

// Whose request it is: the peer, or, where that is a trusted proxy, the last address in
// X-Forwarded-For that is none. Nothing where the header can't be read up to there.
std::optional<net::IpBytes> client_address(const net::RequestHead& head, std::string_view peer,
                                           const std::vector<net::IpRange>& trusted);

// How a key is sent where the dialect does not say otherwise.
inline constexpr std::string_view kKeyHint = "Authorization: Bearer sy-...";

// What is to be answered, or nothing where the key is good. `given` is what the client sent, `hint`
// how it sends a key.
std::optional<exchange::Failure> refuse_key(const account::Found& found, std::string_view given,
                                            std::string_view hint = kKeyHint);

// The client wants to know how its request was routed.
bool asks_to_explain(const net::RequestHead& head);

// The same for what a good key may do, but for models. `task` is empty for what every key may.
std::optional<exchange::Failure> refuse_scope(const account::GatewayKey& key, std::string_view task,
                                              const net::RequestHead& head, std::string_view peer,
                                              const std::vector<net::IpRange>& trusted);

}  // namespace switchyard::surface
