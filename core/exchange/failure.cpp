#include "core/exchange/failure.hpp"

#include <algorithm>

namespace switchyard::exchange {
namespace {

constexpr const char* kUpstreamLimit = "upstream_limit_reached";

Failure make(unsigned status, const char* type, const char* code, std::string message) {
  Failure failure;
  failure.status = status;
  failure.type = type;
  failure.code = code;
  failure.message = std::move(message);
  failure.upstream = true;
  return failure;
}

// 4xx of the upstream that are the client's own doing pass as they are.
unsigned request_status(unsigned upstream) {
  return upstream == 404 || upstream == 409 || upstream == 413 || upstream == 422 ? upstream : 400;
}

}  // namespace

const char* class_name(int cls) {
  switch (cls) {
    case SWY_CLS_BAD_REQUEST:
      return "bad_request";
    case SWY_CLS_AUTH:
      return "auth";
    case SWY_CLS_RATE_LIMIT:
      return "rate_limit";
    case SWY_CLS_OVERLOADED:
      return "overloaded";
    case SWY_CLS_TOO_LONG:
      return "too_long";
    case SWY_CLS_FILTERED:
      return "filtered";
    case SWY_CLS_TIMEOUT:
      return "timeout";
    case SWY_CLS_NOT_OFFERED:
      return "not_offered";
    case SWY_CLS_QUOTA:
      return "quota";
    case SWY_CLS_SERVER:
      return "server";
    case SWY_CLS_NO_MODEL:
      return "no_model";
    case SWY_CLS_BAD_ANSWER:
      return "bad_answer";
    default:
      return "plugin";
  }
}

AttemptFault from_net(const net::NetError& error) {
  AttemptFault fault;
  fault.message = error.message;
  fault.nothing_received = error.nothing_received;
  switch (error.fault) {
    case net::NetFault::kConnectTimeout:
    case net::NetFault::kTimeout:
      fault.cls = SWY_CLS_TIMEOUT;
      fault.code = "upstream_timeout";
      break;
    case net::NetFault::kProtocol:
    case net::NetFault::kTooLarge:
      fault.cls = SWY_CLS_BAD_ANSWER;
      fault.code = "upstream_bad_answer";
      break;
    case net::NetFault::kClosed:
      fault.cls = SWY_CLS_SERVER;
      fault.code = "upstream_closed";
      break;
    default:
      fault.cls = SWY_CLS_SERVER;
      fault.code = "upstream_unreachable";
      break;
  }
  return fault;
}

Failure to_failure(const AttemptFault& fault, std::string_view provider) {
  const std::string at = " (provider " + std::string(provider) + ")";
  if (fault.unpaid) {
    const bool ours = fault.cls == SWY_CLS_PLUGIN;
    return make(ours ? 503 : 402, ours ? "server_error" : "insufficient_quota", fault.code,
                fault.message);
  }
  if (*fault.code != '\0' && fault.cls == SWY_CLS_NOT_OFFERED) {
    return make(400, "invalid_request_error", fault.code, fault.message + at);
  }
  if (fault.code == kUpstreamLimit) {
    Failure failure = make(429, "rate_limit_error", fault.code, fault.message);
    failure.retry_after_ms = fault.retry_after_ms;
    failure.upstream = false;  // no attempt of ours is spent
    return failure;
  }
  if (*fault.code != '\0') {
    const bool ours = fault.cls == SWY_CLS_PLUGIN || fault.cls == SWY_CLS_OVERLOADED;
    const unsigned status = fault.cls == SWY_CLS_TIMEOUT ? 504 : ours ? 503 : 502;
    return make(status, "upstream_error", fault.code, fault.message + at);
  }
  Failure failure;
  switch (fault.cls) {
    case SWY_CLS_BAD_REQUEST:
      failure = make(request_status(fault.http), "invalid_request_error", "upstream_refused",
                     fault.message);
      failure.error_json = fault.error_json;
      break;
    case SWY_CLS_TOO_LONG:
      failure = make(request_status(fault.http), "invalid_request_error", "context_length_exceeded",
                     fault.message);
      failure.error_json = fault.error_json;
      break;
    case SWY_CLS_FILTERED:
      failure = make(request_status(fault.http), "invalid_request_error",
                     "content_policy_violation", fault.message);
      failure.error_json = fault.error_json;
      break;
    case SWY_CLS_NO_MODEL:
      failure = make(404, "invalid_request_error", "model_not_found", fault.message + at);
      failure.error_json = fault.error_json;
      break;
    case SWY_CLS_NOT_OFFERED:
      failure = make(400, "invalid_request_error", "not_offered", fault.message + at);
      break;
    case SWY_CLS_AUTH:
      // The text may show a part of the credential, and the client can do nothing about it.
      failure = make(502, "upstream_error", "upstream_auth",
                     "the upstream refused the gateway's credential" + at);
      break;
    case SWY_CLS_RATE_LIMIT:
      failure = make(429, "rate_limit_error", "rate_limit_exceeded", fault.message + at);
      break;
    case SWY_CLS_QUOTA:
      failure = make(429, "insufficient_quota", "upstream_quota_exhausted",
                     "the quota of the gateway's credential is exhausted" + at);
      break;
    case SWY_CLS_OVERLOADED:
      failure = make(503, "upstream_error", "upstream_overloaded", fault.message + at);
      break;
    case SWY_CLS_TIMEOUT:
      failure = make(504, "upstream_error", "upstream_timeout", fault.message + at);
      break;
    case SWY_CLS_SERVER:
      failure = make(502, "upstream_error", "upstream_error", fault.message + at);
      break;
    case SWY_CLS_BAD_ANSWER:
      failure = make(502, "upstream_error", "upstream_bad_answer", fault.message + at);
      break;
    default:
      failure = make(502, "server_error", "plugin_error", "the provider plugin failed" + at);
      break;
  }
  failure.retry_after_ms = fault.retry_after_ms;
  return failure;
}

bool surely_not_begun(const AttemptFault& fault) {
  if (!fault.sent) return true;
  // The upstream said no; after a timeout or a cut it may have said yes.
  const bool refused = fault.http >= 400 && fault.http < 500 && fault.http != 408;
  return *fault.code == '\0' && (refused || fault.cls == SWY_CLS_OVERLOADED);
}

AttemptFault nobody_asked(const routing::Attempts::Nobody& nobody) {
  using Barred = routing::Lane::Barred;
  AttemptFault fault;
  switch (nobody.why) {
    case Barred::kLimit:
      fault.cls = SWY_CLS_RATE_LIMIT;
      fault.code = kUpstreamLimit;
      fault.message =
          "The limits that the gateway keeps for this model's upstreams are reached; try again "
          "later.";
      // What runs ends sometime: nobody knows when.
      fault.retry_after_ms = static_cast<std::uint32_t>(
          std::clamp<std::uint64_t>(nobody.eases_ns / 1'000'000, 1'000, 60'000));
      break;
    case Barred::kForced:
      fault.cls = SWY_CLS_OVERLOADED;
      fault.code = "upstream_closed_off";
      fault.message = "The gateway's operator has closed off every upstream of this model.";
      break;
    default:
      fault.cls = SWY_CLS_TIMEOUT;
      fault.code = "deadline_exceeded";
      fault.message = "The time that the request allows was over before an upstream was asked.";
  }
  return fault;
}

}  // namespace switchyard::exchange
