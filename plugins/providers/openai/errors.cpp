#include "providers/openai/errors.hpp"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <switchyard/fault.hpp>
#include <switchyard/json.hpp>

namespace openai {

namespace json = swy::json;

namespace {

constexpr std::int64_t kRetryAfterMsMax = 3'600'000;

// What an error body says, in any of the forms that are in use.
struct Said {
  std::string message, type, param, code;
  std::string_view retry_delay;  // Google: details[].retryDelay
};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// Strings unescaped, numbers and objects as they stand, null as nothing.
std::string as_text(std::string_view value) {
  if (json::is_null(value)) return {};
  if (auto text = json::to_text(value)) return *std::move(text);
  return std::string(value);
}

void read_members(std::string_view object, Said& said) {
  json::Cursor cursor(object);
  std::string_view name;
  if (!cursor.object()) return;
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    if (name == "message") {
      said.message = as_text(value);
    } else if (name == "type" ||
               (name == "status" && said.type.empty() && json::type_of(value) == 's')) {
      said.type = as_text(value);
    } else if (name == "param") {
      said.param = as_text(value);
    } else if (name == "code") {
      said.code = as_text(value);
    } else if (name == "details") {
      json::Cursor details(value);
      if (!details.array()) continue;
      while (details.element()) {
        const std::string_view delay = json::find(details.value(), "retryDelay");
        if (json::type_of(delay) == 's') said.retry_delay = delay.substr(1, delay.size() - 2);
      }
    }
  }
}

// {"detail": "..."} or {"detail": [{"loc": [...], "msg": "..."}]}, as validators of Python servers
// answer.
void read_detail(std::string_view detail, Said& said) {
  if (json::type_of(detail) != 'a') {
    said.message = as_text(detail);
    return;
  }
  const std::string_view first = json::at(detail, 0);
  said.message = as_text(json::find(first, "msg"));
  said.type = "invalid_request_error";
  json::Cursor path(json::find(first, "loc"));
  if (!path.array()) return;
  while (path.element()) {
    if (!said.param.empty()) said.param += '.';
    said.param += as_text(path.value());
  }
  if (!said.param.empty()) said.message += " (" + said.param + ")";
}

// The place of those that the dialect names where this text tells of a fault.
const ErrorPlace* find_fault(const Dialect& dialect, std::string_view text) {
  for (const ErrorPlace& place : dialect.error_places) {
    const std::string_view code = json::find_path(text, place.path);
    if (!json::is_null(code) && as_text(code) != place.fine) return &place;
  }
  return nullptr;
}

Said read_body(const Dialect& dialect, std::string_view body) {
  Said said;
  if (const ErrorPlace* const place = find_fault(dialect, body)) {
    said.code = as_text(json::find_path(body, place->path));
    said.message = as_text(json::find_path(body, place->message));
    return said;
  }
  if (json::Cursor cursor(body); cursor.type() == 'a') body = json::at(body, 0);  // Google wraps it
  const std::string_view error = json::find(body, "error");
  const std::string_view detail = json::find(body, "detail");
  switch (json::type_of(error)) {
    case 'o':
      read_members(error, said);
      break;
    case 's':
      read_members(body, said);
      said.message = as_text(error);
      break;
    default:
      read_members(body, said);
      if (said.type == "error") said.type.clear();
      if (said.message.empty() && !detail.empty()) read_detail(detail, said);
  }
  // A short line of plain text says more than nothing; a page of HTML does not.
  if (said.message.empty() && json::find(body, "message").empty() && body.size() < 200 &&
      body.find_first_of("<{[") == std::string_view::npos) {
    said.message.assign(body.substr(0, body.find_last_not_of(" \r\n\t") + 1));
  }
  return said;
}

bool contains_any(std::string_view text, std::initializer_list<std::string_view> parts) {
  return std::any_of(parts.begin(), parts.end(), [text](std::string_view part) {
    return text.find(part) != std::string_view::npos;
  });
}
bool is_any(std::string_view text, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), text) != names.end();
}

bool fits(const ErrorRule& rule, unsigned status, const Said& said, std::string_view message) {
  return (rule.status == 0 || rule.status == status) &&
         (rule.code.empty() || name_fits(rule.code, said.code)) &&
         (rule.type.empty() || rule.type == said.type) &&
         (rule.text.empty() || message.find(rule.text) != std::string_view::npos);
}

// By the names that OpenAI and the most of its likes use; -1 where they say nothing.
int class_by_name(std::string_view name) {
  if (is_any(name,
             {"insufficient_quota", "credit_balance_exhausted", "organization_spend_limit_exceeded",
              "project_spend_limit_exceeded", "organization_usage_limit_exceeded",
              "billing_hard_limit_reached", "insufficient_balance", "billing_error"})) {
    return SWY_CLS_QUOTA;
  }
  if (is_any(name, {"context_length_exceeded", "exceed_context_size_error", "request_too_large"})) {
    return SWY_CLS_TOO_LONG;
  }
  if (is_any(name, {"content_filter", "content_policy_violation", "content_filter_error"})) {
    return SWY_CLS_FILTERED;
  }
  if (is_any(name, {"invalid_api_key", "authentication_error", "permission_error"}))
    return SWY_CLS_AUTH;
  if (is_any(name, {"model_not_found", "unsupported_country_region_territory"}))
    return SWY_CLS_NO_MODEL;
  if (is_any(name, {"rate_limit_exceeded", "rate_limit_error", "slow_down"}))
    return SWY_CLS_RATE_LIMIT;
  if (is_any(name, {"server_is_overloaded", "overloaded_error", "engine_overloaded_error",
                    "capacity_exceeded", "service_unavailable_error", "unavailable_error"})) {
    return SWY_CLS_OVERLOADED;
  }
  if (is_any(name, {"server_error", "api_error", "internal_error"})) return SWY_CLS_SERVER;
  return -1;
}

int class_by_text(unsigned status, std::string_view message) {
  if (status != 400 && status != 413 && status != 422 && status != 200) return -1;
  if (contains_any(message,
                   {"maximum context length", "context window", "context length", "context size",
                    "maximum prompt length", "prompt is too long", "token length too long",
                    "input token count", "range of input length"})) {
    return SWY_CLS_TOO_LONG;
  }
  if (contains_any(message, {"incorrect api key", "api key not valid", "invalid api key"})) {
    return SWY_CLS_AUTH;
  }
  return -1;
}

int classify(const Dialect& dialect, unsigned status, const Said& said) {
  const std::string message = lower(said.message);
  for (const ErrorRule& rule : dialect.errors) {
    if (fits(rule, status, said, message)) return rule.cls;
  }
  for (const std::string& name : {said.code, said.type}) {
    const int cls = class_by_name(name);
    // A rate-limit or server name cannot soften a status that says more: a credential refused, a
    // quota spent, a time that is over.
    const bool says_more = status == 401 || status == 402 || status == 408 || status == 504;
    if (cls >= 0 && !says_more) return cls;
  }
  if (const int cls = class_by_text(status, message); cls >= 0) return cls;
  return swy::class_of_status(status);
}

// An error inside a good answer may carry the status it would have had.
unsigned status_of(unsigned status, const Said& said) {
  if (status != 200) return status;
  const auto code = json::to_integer(said.code);
  return code && *code >= 400 && *code < 600 ? static_cast<unsigned>(*code) : status;
}

std::string_view header(std::span<const swy_kv> headers, std::string_view name) {
  for (const swy_kv& kv : headers) {
    if (swy::view(kv.k) == name) return swy::view(kv.v);
  }
  return {};
}

// A decimal number without sign, whole; -1 where it is none. Huge ones are cut, not wrapped.
double decimal(std::string_view text) {
  double number = 0;
  if (text.empty() || (text.front() != '.' && (text.front() < '0' || text.front() > '9')))
    return -1;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error == std::errc::result_out_of_range) return 1e15;
  if (error != std::errc() || end != text.data() + text.size()) return -1;
  return std::min(number, 1e15);
}

}  // namespace

bool says_fault(const Dialect& dialect, std::string_view text) {
  return find_fault(dialect, text) != nullptr;
}

std::int64_t duration_ms(std::string_view text) {
  double total = 0;
  if (text.empty()) return -1;
  while (!text.empty()) {
    const std::size_t digits = text.find_first_not_of("0123456789.");
    const double number = decimal(text.substr(0, digits));
    if (number < 0) return -1;
    text = digits == std::string_view::npos ? std::string_view() : text.substr(digits);
    const std::size_t unit_size = std::min(text.find_first_of("0123456789."), text.size());
    const std::string_view unit = text.substr(0, unit_size);
    if (unit == "ms") {
      total += number;
    } else if (unit == "s" || unit.empty()) {
      total += number * 1e3;
    } else if (unit == "m") {
      total += number * 6e4;
    } else if (unit == "h") {
      total += number * 3.6e6;
    } else if (unit == "d") {
      total += number * 8.64e7;
    } else {
      return -1;
    }
    text.remove_prefix(unit_size);
  }
  return static_cast<std::int64_t>(std::min(total, 1e15));
}

std::uint32_t retry_after_ms(const Dialect& dialect, std::span<const swy_kv> headers) {
  for (const std::string& name : dialect.retry_after_headers) {
    const std::string_view value = header(headers, name);
    if (value.empty()) continue;
    double ms = -1;
    if (name.ends_with("-ms")) {
      ms = decimal(value);
    } else if (const std::int64_t then = swy::http_date(value); then >= 0) {
      // Against the upstream's own clock, so that ours need not be right.
      const std::int64_t now = swy::http_date(header(headers, "date"));
      if (now >= 0) ms = static_cast<double>(then - now) * 1e3;
    } else {
      ms = static_cast<double>(duration_ms(value));
    }
    if (ms > 0) return static_cast<std::uint32_t>(std::min<double>(ms, kRetryAfterMsMax));
  }
  return 0;
}

std::string read_limits(std::span<const swy_kv> headers) {
  std::int64_t reset = -1;
  std::string out;
  json::Writer writer(out);
  writer.open_object();
  const auto count = [&writer](const char* name, std::string_view value) {
    const auto number = json::to_integer(value);
    if (number && *number >= 0) writer.key(name).integer(*number);
  };
  for (const swy_kv& kv : headers) {
    std::string_view name = swy::view(kv.k);
    const std::string_view value = swy::view(kv.v);
    if (!name.starts_with("x-ratelimit-")) continue;
    name.remove_prefix(12);
    if (name == "limit-requests") {
      count("rpm", value);
    } else if (name == "limit-tokens") {
      count("tpm", value);
    } else if (name == "remaining-requests") {
      count("remaining_requests", value);
    } else if (name == "remaining-tokens") {
      count("remaining_tokens", value);
    } else if (name == "reset-requests" || name == "reset-tokens") {
      reset = std::max(reset, duration_ms(value));
    }
  }
  if (reset >= 0) writer.key("reset_ms").integer(reset);
  writer.close_object();
  return out.size() > 2 ? out : std::string();
}

Fault read_fault(const Dialect& dialect, unsigned status, std::uint32_t retry_after_ms,
                 std::string_view body) {
  const Said said = read_body(dialect, body);
  const unsigned meant = status_of(status, said);
  const int cls = classify(dialect, meant, said);

  swy::Refusal refusal{cls, meant, retry_after_ms, said.message, said.type, said.param, said.code};
  if (const char* neutral = swy::neutral_words(cls)) {
    refusal.message = neutral;
  } else if (refusal.message.empty()) {
    refusal.message =
        "the upstream answered HTTP " + std::to_string(status) + " without a readable error";
  }
  if (refusal.retry_after_ms == 0 && !said.retry_delay.empty()) {
    const std::int64_t delay = duration_ms(said.retry_delay);
    refusal.retry_after_ms =
        static_cast<std::uint32_t>(std::clamp<std::int64_t>(delay, 0, kRetryAfterMsMax));
  }
  std::string client = swy::client_error(refusal);
  return {swy::Error{cls, std::move(refusal.message), meant, refusal.retry_after_ms},
          std::move(client)};
}

}  // namespace openai
