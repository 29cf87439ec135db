// Signed webhooks: Stripe's that come in, our own that go out. One form of signature for both:
// "t=UNIX,v1=HEX", HEX the HMAC-SHA256 of "UNIX.BODY" (docs.stripe.com/webhooks, 2026-11).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/account/orders.hpp"
#include "core/base/result.hpp"
#include "core/base/secret.hpp"

namespace switchyard::account {

inline constexpr std::int64_t kSignatureAgeMaxS = 300;

std::string sign_webhook(std::string_view body, const Secret& secret, std::int64_t now_unix_s);

// The error says what is wrong with it, not what would be right. An empty secret lets nothing in.
Result<void> check_signature(std::string_view header, std::string_view body, const Secret& secret,
                             std::int64_t now_unix_s);

// "12.34" of a currency in its smallest unit, as Stripe counts it, in nano-units; nothing where it
// does not fit.
std::optional<std::int64_t> from_minor_units(std::int64_t amount, std::string_view currency);

// What a Stripe event means for an order. Types that mean nothing are kOther.
Result<PaymentEvent> read_stripe_event(std::string_view body);

// POST /webhooks/stripe. Blocking: on the compute pool. [any thread]
class StripeWebhook {
 public:
  struct Answer {
    unsigned status = 200;
    std::string body;
  };

  explicit StripeWebhook(Orders& orders) : orders_(orders) {}
  Answer take(std::string_view signature, std::string_view body, const Secret& secret,
              std::int64_t now_unix_s);

 private:
  Orders& orders_;
};

}  // namespace switchyard::account
