#include "core/net/offload.hpp"
#include "core/surface/gateway_call.hpp"
#include "core/surface/openai_error.hpp"

namespace switchyard::surface {
namespace {

// Stripe's events are a few kilobytes.
constexpr std::uint64_t kBodyBytesMax = 256 * 1024;

}  // namespace

net::Task<> Gateway::serve_stripe_webhook(Call& call) {
  if (call.head().method != "POST") {
    call.headers += "allow: POST\r\n";
    co_await refuse(call, bad_request(405, "method_not_allowed",
                                      "Not allowed here; this URL takes webhooks by POST."));
    co_return;
  }
  const auto body = co_await call.http.read_body(kBodyBytesMax);
  if (!body) {
    const net::BodyFault& fault = body.error();
    if (fault.status != 0) {
      co_await refuse(call, bad_request(fault.status, "bad_body", fault.reason));
    }
    co_return;
  }
  WebhookAnswer answered;
  auto work = [&] {
    answered = call.published.stripe_webhook(call.head().find("stripe-signature"), *body);
  };
  co_await net::offload(compute_, std::move(work));
  co_await answer(call, answered.status, std::move(answered.body));
}

}  // namespace switchyard::surface
