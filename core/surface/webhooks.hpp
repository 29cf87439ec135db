// Webhooks of payment providers, on the public listener: their signature is their key.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace switchyard::surface {

inline constexpr std::string_view kStripeWebhookPath = "/webhooks/stripe";

struct WebhookAnswer {
  unsigned status = 200;
  std::string body;  // JSON
};

// What becomes of a body with this signature. Blocking. [compute pool]
using TakeWebhook = std::function<WebhookAnswer(std::string_view signature, std::string_view body)>;

}  // namespace switchyard::surface
