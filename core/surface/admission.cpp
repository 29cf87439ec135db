#include "core/surface/admission.hpp"

#include "core/surface/openai_error.hpp"

namespace switchyard::surface {
namespace {

constexpr std::string_view kForwardedFor = "x-forwarded-for";
constexpr std::string_view kExplain = "x-switchyard-explain";
constexpr std::string_view kFeature = "x-switchyard-feature";

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

std::string_view bearer(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  if (authorization.size() <= kScheme.size()) return {};
  for (std::size_t i = 0; i < kScheme.size(); ++i) {
    if ((authorization[i] | 0x20) != (kScheme[i] | 0x20)) return {};
  }
  return authorization.substr(kScheme.size());
}

std::optional<net::IpBytes> client_address(const net::RequestHead& head, std::string_view peer,
                                           const std::vector<net::IpRange>& trusted) {
  auto address = net::parse_ip(peer);
  if (!address || !net::contains(trusted, *address)) return address;
  // Each proxy appends whom it heard; what stands before the last stranger is the stranger's claim.
  for (auto header = head.headers.rbegin(); header != head.headers.rend(); ++header) {
    if (header->name != kForwardedFor) continue;
    std::string_view rest = header->value;
    while (!rest.empty()) {
      const std::size_t comma = rest.rfind(',');
      const bool first = comma == std::string_view::npos;
      address = net::parse_ip(trimmed(first ? rest : rest.substr(comma + 1)));
      rest = first ? std::string_view() : rest.substr(0, comma);
      if (!address || !net::contains(trusted, *address)) return address;
    }
  }
  return address;
}

std::optional<exchange::Failure> refuse_key(const account::Found& found, std::string_view given,
                                            std::string_view hint) {
  switch (found.standing) {
    case account::Standing::kGood:
      return std::nullopt;
    case account::Standing::kExpired:
      return bad_request(401, "key_expired", "This API key has expired.");
    case account::Standing::kDisabled:
      return bad_request(401, "key_disabled", "This API key has been disabled.");
    case account::Standing::kAccountDisabled:
      return bad_request(403, "account_disabled", "The account of this API key is disabled.");
    case account::Standing::kUnknown:
      break;
  }
  std::string message = "Incorrect API key provided: this gateway does not know it.";
  if (given.empty()) {
    message = "No API key was given. Send one of this gateway's keys: " + std::string(hint);
  }
  return bad_request(401, "invalid_api_key", std::move(message));
}

bool asks_to_explain(const net::RequestHead& head) { return head.find(kExplain) == "true"; }

std::optional<exchange::Failure> refuse_scope(const account::GatewayKey& key, std::string_view task,
                                              const net::RequestHead& head, std::string_view peer,
                                              const std::vector<net::IpRange>& trusted) {
  if (!key.ip_ranges.empty()) {
    const auto address = client_address(head, peer, trusted);
    if (!address || !key.may_come_from(*address)) {
      return bad_request(403, "ip_not_allowed", "This API key may not be used from this address.");
    }
  }
  if (!task.empty() && !key.may_do(task)) {
    return bad_request(403, "endpoint_not_allowed",
                       "This API key may not be used for " + std::string(task) + ".");
  }
  if (asks_to_explain(head) && !key.may_explain) {
    return bad_request(403, "explain_not_allowed",
                       "This API key may not ask how requests are routed: leave " +
                           std::string(kExplain) + " out, or have the key's may_explain set.",
                       std::string(kExplain));
  }
  if (!key.features.empty()) {
    const std::string_view feature = head.find(kFeature);
    if (!feature.empty() && !key.may_use_feature(feature)) {
      return bad_request(403, "feature_not_allowed", "This API key may not use that feature.",
                         std::string(kFeature));
    }
  }
  return std::nullopt;
}

}  // namespace switchyard::surface
