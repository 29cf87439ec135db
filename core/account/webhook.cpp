#include "core/account/webhook.hpp"

#include <openssl/crypto.h>
#include <rapidjson/document.h>

#include <algorithm>
#include <charconv>

#include "core/base/json_scan.hpp"
#include "core/observe/log.hpp"

namespace switchyard::account {
namespace {

using Json = rapidjson::Value;

constexpr std::size_t kSignaturesMax = 16;  // of one header
constexpr std::size_t kIdMax = 255;

// Currencies that Stripe counts whole, or in thousandths (docs.stripe.com/currencies, 2026-11).
constexpr std::string_view kWhole[] = {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA",
                                       "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"};
constexpr std::string_view kThousandths[] = {"BHD", "JOD", "KWD", "OMR", "TND"};

std::string digest_hex(std::string_view body, const Secret& secret, std::string_view time) {
  std::string signed_text(time);
  signed_text.append(".").append(body);
  return to_hex(Pepper(secret).mac(signed_text));
}

bool is_equal(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

const Json& none() {
  static const Json kNone;
  return kNone;
}

const Json& member(const Json& object, const char* name) {
  if (!object.IsObject()) return none();
  const auto found = object.FindMember(name);
  return found == object.MemberEnd() ? none() : found->value;
}

std::string text(const Json& object, const char* name) {
  const Json& value = member(object, name);
  if (!value.IsString() || value.GetStringLength() > kIdMax) return {};
  return {value.GetString(), value.GetStringLength()};
}

std::int64_t whole(const Json& object, const char* name) {
  const Json& value = member(object, name);
  return value.IsInt64() ? value.GetInt64() : -1;
}

std::string upper(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

// Where the operator's shop put the order's id.
std::string order_of(const Json& object) {
  std::string order = text(member(object, "metadata"), "order");
  return order.empty() ? text(object, "client_reference_id") : order;
}

struct Meaning {
  std::string_view type;
  PaymentEvent::Kind kind;
  const char* amount;   // the member that has it
  const char* payment;  // the member that has the payment's id
};

constexpr Meaning kMeanings[] = {
    {"checkout.session.completed", PaymentEvent::Kind::kPaid, "amount_total", "payment_intent"},
    {"checkout.session.async_payment_succeeded", PaymentEvent::Kind::kPaid, "amount_total",
     "payment_intent"},
    {"checkout.session.async_payment_failed", PaymentEvent::Kind::kFailed, "amount_total",
     "payment_intent"},
    {"checkout.session.expired", PaymentEvent::Kind::kFailed, "amount_total", "payment_intent"},
    {"payment_intent.succeeded", PaymentEvent::Kind::kPaid, "amount_received", "id"},
    {"charge.refunded", PaymentEvent::Kind::kRefunded, "amount_refunded", "payment_intent"},
};

StripeWebhook::Answer answer(unsigned status, const char* name, std::string_view value) {
  std::string body = "{\"";
  body.append(name).append("\":");
  append_json_string(body, value);
  return {status, body + "}"};
}

}  // namespace

std::string sign_webhook(std::string_view body, const Secret& secret, std::int64_t now_unix_s) {
  const std::string time = std::to_string(now_unix_s);
  return "t=" + time + ",v1=" + digest_hex(body, secret, time);
}

Result<void> check_signature(std::string_view header, std::string_view body, const Secret& secret,
                             std::int64_t now_unix_s) {
  if (secret.empty()) return Error{"no signing secret is set"};
  std::string_view time;
  std::vector<std::string_view> signatures;
  while (!header.empty()) {
    const std::size_t comma = std::min(header.find(','), header.size());
    std::string_view part = header.substr(0, comma);
    header.remove_prefix(std::min(comma + 1, header.size()));
    while (part.starts_with(' ')) part.remove_prefix(1);
    if (part.starts_with("t=")) {
      if (!time.empty()) return Error{"the signature has two times"};
      time = part.substr(2);
    }
    if (part.starts_with("v1=")) signatures.push_back(part.substr(3));
    if (signatures.size() > kSignaturesMax) return Error{"too many signatures"};
  }
  std::int64_t at = 0;
  const auto [end, fault] = std::from_chars(time.data(), time.data() + time.size(), at);
  if (time.empty() || fault != std::errc() || end != time.data() + time.size()) {
    return Error{"the signature has no time"};
  }
  const std::string right = digest_hex(body, secret, time);
  bool fits = false;
  for (const std::string_view signature : signatures) fits = is_equal(signature, right) || fits;
  if (!fits) return Error{"no signature fits"};
  // After the digest: only who knows the secret learns about our clock.
  if (at < now_unix_s - kSignatureAgeMaxS || at > now_unix_s + kSignatureAgeMaxS) {
    return Error{"the signature's time is more than five minutes off"};
  }
  return {};
}

std::optional<std::int64_t> from_minor_units(std::int64_t amount, std::string_view currency) {
  const auto among = [currency](const auto& list) {
    return std::find(std::begin(list), std::end(list), currency) != std::end(list);
  };
  std::int64_t unit = 10'000'000;
  if (among(kWhole)) unit = 1'000'000'000;
  if (among(kThousandths)) unit = 1'000'000;
  std::int64_t nano = 0;
  if (amount < 0 || __builtin_mul_overflow(amount, unit, &nano)) return std::nullopt;
  return nano;
}

Result<PaymentEvent> read_stripe_event(std::string_view body) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(
      body.data(), body.size());
  if (document.HasParseError() || !document.IsObject()) return Error{"the body is no JSON object"};
  PaymentEvent event;
  event.provider = "stripe";
  event.id = text(document, "id");
  event.type = text(document, "type");
  if (event.id.empty() || event.type.empty()) return Error{"the event has no id or no type"};
  const Json& object = member(member(document, "data"), "object");
  for (const Meaning& meaning : kMeanings) {
    if (meaning.type != event.type) continue;
    event.kind = meaning.kind;
    event.order = order_of(object);
    event.payment = text(object, meaning.payment);
    event.currency = upper(text(object, "currency"));
    // A session that completes before its money came, as with a bank transfer.
    if (event.type == "checkout.session.completed" && text(object, "payment_status") != "paid") {
      event.kind = PaymentEvent::Kind::kOther;
    }
    const auto amount = from_minor_units(whole(object, meaning.amount), event.currency);
    const bool counts =
        event.kind == PaymentEvent::Kind::kPaid || event.kind == PaymentEvent::Kind::kRefunded;
    if (counts && !amount) return Error{"the event's object has no amount"};
    event.amount = amount.value_or(0);
  }
  return event;
}

StripeWebhook::Answer StripeWebhook::take(std::string_view signature, std::string_view body,
                                          const Secret& secret, std::int64_t now_unix_s) {
  const auto genuine = check_signature(signature, body, secret, now_unix_s);
  if (!genuine) {
    spdlog::warn("webhook_refused provider=stripe reason={}",
                 observe::quote(genuine.error().message));
    return answer(400, "error", "The signature is not right.");
  }
  const auto event = read_stripe_event(body);
  if (!event) return answer(400, "error", event.error().message);
  const auto outcome = orders_.take(*event, now_unix_s);
  if (!outcome) {
    spdlog::error("webhook_not_kept provider=stripe event={} reason={}", observe::quote(event->id),
                  observe::quote(outcome.error().message));
    return answer(503, "error", "Not kept; send it again.");
  }
  spdlog::info("webhook_taken provider=stripe event={} outcome={}", observe::quote(event->id),
               *outcome);
  return answer(200, "outcome", *outcome);
}

}  // namespace switchyard::account
