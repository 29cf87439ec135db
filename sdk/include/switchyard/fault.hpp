// fault.hpp - what providers share when an upstream refuses: the class by status, how long to wait,
// and the error object that a client may see.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <switchyard/json.hpp>
#include <switchyard/provider.hpp>

namespace swy {

// What an upstream said when it refused.
struct Refusal {
  std::int32_t cls = SWY_CLS_BAD_ANSWER;
  unsigned status = 0;
  std::uint32_t retry_after_ms = 0;
  std::string message, type, param, code;
};

// The class that a status alone means; CANONICAL.md section 6.
inline std::int32_t class_of_status(unsigned status) {
  switch (status) {
    case 401:
    case 403:
      return SWY_CLS_AUTH;
    case 402:
      return SWY_CLS_QUOTA;
    case 404:
      return SWY_CLS_NO_MODEL;
    case 408:
    case 504:
    case 524:
      return SWY_CLS_TIMEOUT;
    case 200:
    case 409:
    case 499:
      return SWY_CLS_SERVER;
    case 413:
      return SWY_CLS_TOO_LONG;
    case 429:
      return SWY_CLS_RATE_LIMIT;
    case 501:
      return SWY_CLS_NOT_OFFERED;
    case 498:
    case 503:
    case 529:
      return SWY_CLS_OVERLOADED;
    default:
      return status >= 500   ? SWY_CLS_SERVER
             : status >= 400 ? SWY_CLS_BAD_REQUEST
                             : SWY_CLS_BAD_ANSWER;
  }
}

// Words of our own for what may show a part of the credential or its account; else nothing.
inline const char* neutral_words(std::int32_t cls) {
  switch (cls) {
    case SWY_CLS_AUTH:
      return "the upstream refused the gateway's credential";
    case SWY_CLS_QUOTA:
      return "the quota of the gateway's credential is spent";
    case SWY_CLS_RATE_LIMIT:
      return "the upstream's rate limit is reached";
    default:
      return nullptr;
  }
}

namespace detail {

inline const char* error_type(std::int32_t cls) {
  switch (cls) {
    case SWY_CLS_AUTH:
      return "authentication_error";
    case SWY_CLS_QUOTA:
      return "insufficient_quota";
    case SWY_CLS_RATE_LIMIT:
      return "rate_limit_error";
    case SWY_CLS_BAD_REQUEST:
    case SWY_CLS_TOO_LONG:
    case SWY_CLS_FILTERED:
    case SWY_CLS_NO_MODEL:
    case SWY_CLS_NOT_OFFERED:
      return "invalid_request_error";
    default:
      return "server_error";
  }
}

inline const char* error_code(std::int32_t cls) {
  switch (cls) {
    case SWY_CLS_AUTH:
      return "upstream_auth";
    case SWY_CLS_QUOTA:
      return "insufficient_quota";
    case SWY_CLS_RATE_LIMIT:
      return "rate_limit_exceeded";
    case SWY_CLS_TOO_LONG:
      return "context_length_exceeded";
    case SWY_CLS_FILTERED:
      return "content_policy_violation";
    case SWY_CLS_NO_MODEL:
      return "model_not_found";
    default:
      return nullptr;
  }
}

// Days since 1970-01-01 of a Gregorian date.
inline std::int64_t days_from_civil(std::int64_t y, std::int64_t m, std::int64_t d) {
  y -= m <= 2 ? 1 : 0;
  const std::int64_t era = (y >= 0 ? y : y - 399) / 400;
  const std::int64_t yoe = y - era * 400;
  const std::int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

// A number of digits alone within a text; -1 where it is none.
inline std::int64_t digits_at(std::string_view text, std::size_t at, std::size_t n) {
  if (text.size() < at + n) return -1;
  std::int64_t number = 0;
  for (const char c : text.substr(at, n)) {
    if (c < '0' || c > '9') return -1;
    number = number * 10 + (c - '0');
  }
  return number;
}

inline std::int64_t unix_time(std::int64_t year, std::int64_t month, std::int64_t day,
                              std::string_view clock) {
  const std::int64_t hour = digits_at(clock, 0, 2), minute = digits_at(clock, 3, 2),
                     second = digits_at(clock, 6, 2);
  if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31) return -1;
  if (hour < 0 || minute < 0 || second < 0) return -1;
  return ((days_from_civil(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
}

}  // namespace detail

namespace detail {

// "Jan" is 1; 0 where it is none.
inline std::int64_t month_of(std::string_view name) {
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const std::size_t at = name.size() == 3 ? kMonths.find(name) : std::string_view::npos;
  return at == std::string_view::npos || at % 3 != 0 ? 0 : static_cast<std::int64_t>(at / 3) + 1;
}

// "Sun Nov  6 08:49:37 1994"
inline std::int64_t asctime_date(std::string_view text) {
  if (text.size() != 24) return -1;
  const std::int64_t day = text[8] == ' ' ? digits_at(text, 9, 1) : digits_at(text, 8, 2);
  return unix_time(digits_at(text, 20, 4), month_of(text.substr(4, 3)), day, text.substr(11, 8));
}

}  // namespace detail

// Seconds since 1970 of a date in any form that HTTP knows (RFC 9110, 5.6.7); -1 where it is none:
//
//   Sun, 06 Nov 1994 08:49:37 GMT
//   Sunday, 06-Nov-94 08:49:37 GMT   (obsolete; years 70 to 99 are of the last century)
//   Sun Nov  6 08:49:37 1994         (obsolete)
inline std::int64_t http_date(std::string_view text) {
  const std::size_t comma = text.find(',');
  if (comma == std::string_view::npos) return detail::asctime_date(text);
  text.remove_prefix(comma + 1);  // " 06 Nov 1994 08:49:37 GMT"
  const bool short_year = text.size() == 23;
  if ((text.size() != 25 && !short_year) || !text.ends_with(" GMT")) return -1;
  std::int64_t year = detail::digits_at(text, 8, short_year ? 2 : 4);
  if (short_year && year >= 0) year += year < 70 ? 2000 : 1900;
  return detail::unix_time(year, detail::month_of(text.substr(4, 3)), detail::digits_at(text, 1, 2),
                           text.substr(short_year ? 11 : 13, 8));
}

// Seconds since 1970 of an RFC 3339 time in UTC ("2026-11-21T08:49:37Z", fractions are cut); -1
// where it is none.
inline std::int64_t rfc3339(std::string_view text) {
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' || (text[10] | 0x20) != 't') return -1;
  const std::string_view zone =
      text.substr(text.find_first_not_of("0123456789.", 19) == std::string_view::npos
                      ? text.size()
                      : text.find_first_not_of("0123456789.", 19));
  if (zone != "Z" && zone != "z" && zone != "+00:00") return -1;
  return detail::unix_time(detail::digits_at(text, 0, 4), detail::digits_at(text, 5, 2),
                           detail::digits_at(text, 8, 2), text.substr(11, 8));
}

// Seconds in decimals ("37", "1.5") as milliseconds, at most an hour; -1 where it is none.
inline std::int64_t seconds_as_ms(std::string_view text) {
  double seconds = 0;
  if (text.empty() || text.front() < '0' || text.front() > '9') return -1;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), seconds, std::chars_format::fixed);
  if (end != text.data() + text.size()) return -1;
  if (error == std::errc::result_out_of_range) return 3'600'000;
  return error == std::errc() ? static_cast<std::int64_t>(std::min(seconds, 3600.0) * 1e3) : -1;
}

// How long an answer's headers ask to wait, at most an hour; 0 where they say nothing sensible. A
// date is read against the upstream's own clock, so that ours need not be right.
inline std::uint32_t retry_after_ms(const Event& head) {
  const auto bounded = [](std::int64_t ms) {
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(ms, 0, 3'600'000));
  };
  if (const auto ms = json::to_integer(head.header("retry-after-ms")); ms && *ms > 0) {
    return bounded(*ms);
  }
  const std::string_view text = head.header("retry-after");
  if (const std::int64_t then = http_date(text); then >= 0) {
    const std::int64_t now = http_date(head.header("date"));
    return now < 0 || then <= now ? 0 : bounded(std::min<std::int64_t>(then - now, 3600) * 1000);
  }
  return bounded(seconds_as_ms(text));
}

// The error object of SWY_EMIT_ERROR. Credentials, quota and rate limits get words of our own: the
// upstream's may hold parts of the key or name the account.
inline std::string client_error(const Refusal& refusal) {
  const char* const neutral = neutral_words(refusal.cls);
  std::string out;
  json::Writer writer(out);
  const auto put = [&writer](std::string_view name, std::string_view value, const char* otherwise) {
    writer.key(name);
    if (!value.empty()) {
      writer.text(value);
    } else if (otherwise != nullptr) {
      writer.text(otherwise);
    } else {
      writer.null();
    }
  };
  writer.open_object();
  writer.key("message");
  writer.text(neutral != nullptr ? std::string_view(neutral) : refusal.message);
  put("type", neutral != nullptr ? std::string_view() : refusal.type,
      detail::error_type(refusal.cls));
  put("param", refusal.param, nullptr);
  put("code", neutral != nullptr ? std::string_view() : refusal.code,
      detail::error_code(refusal.cls));
  writer.close_object();
  return out;
}

// Ends an operation with what the upstream said.
inline Next refuse(Out& out, Refusal refusal) {
  if (refusal.message.empty()) {
    refusal.message = "the upstream answered with status " + std::to_string(refusal.status);
  }
  out.error(client_error(refusal));
  const char* const neutral = neutral_words(refusal.cls);
  if (neutral != nullptr) refusal.message = neutral;
  return Next::fail(
      {refusal.cls, std::move(refusal.message), refusal.status, refusal.retry_after_ms});
}

}  // namespace swy
