#include "core/surface/self_service.hpp"

#include <algorithm>

#include "core/base/json_object.hpp"
#include "core/base/utc.hpp"
#include "core/surface/openai_error.hpp"

namespace switchyard::surface {
namespace {

constexpr std::uint64_t kDayS = 86'400;
constexpr std::uint64_t kDaysMax = 366;
// What other gateways say where nothing limits a key; clients show it as "unlimited".
constexpr Nano kUnlimited = Nano{100'000'000} * 1'000'000'000;

struct Path {
  std::string_view path;
  SelfServiceKind kind;
};
constexpr Path kPaths[] = {
    {"/v1/balance", SelfServiceKind::kBalance},
    {"/v1/usage", SelfServiceKind::kUsage},
    {"/dashboard/billing/subscription", SelfServiceKind::kSubscription},
    {"/dashboard/billing/usage", SelfServiceKind::kDashboardUsage},
    {"/dashboard/billing/credit_grants", SelfServiceKind::kCreditGrants},
};

std::string day_text(std::uint64_t day) { return utc_text(day * kDayS).substr(0, 10); }

std::optional<std::uint64_t> parse_day(std::string_view text) {
  const auto seconds = parse_utc(std::string(text) + "T00:00:00Z");
  if (!seconds) return std::nullopt;
  return *seconds / kDayS;
}

std::string_view parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    const std::size_t equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == name) {
      return pair.substr(equals + 1);
    }
  }
  return {};
}

std::uint64_t first_of_month(std::uint64_t day) {
  return *parse_day(day_text(day).substr(0, 8) + "01");
}

// Hundredths of the unit, exactly: clients read them as a JSON number.
std::string cents(Nano amount) {
  const bool negative = amount < 0;
  const Nano hundredths = amount / 10'000'000;
  const Nano rest = negative ? -(amount % 10'000'000) : amount % 10'000'000;
  std::string text = (negative && hundredths == 0 ? "-" : "") + std::to_string(hundredths);
  if (rest == 0) return text;
  std::string digits = std::to_string(rest);
  digits.insert(0, 7 - digits.size(), '0');
  digits.erase(digits.find_last_not_of('0') + 1);
  return text + "." + digits;
}

Nano available_of(const account::Means& means) {
  return means.limited ? std::max<Nano>(means.available, 0) : kUnlimited;
}

Nano granted_of(const account::Means& means) {
  return add_nano(available_of(means), means.used).value_or(INT64_MAX);
}

std::string balance_json(const account::Means& means) {
  return JsonObject()
      .text("object", "balance")
      .text("account", means.account)
      .text("currency", means.currency)
      .boolean("limited", means.limited)
      .text("balance", format_nano(means.balance))
      .text("held", format_nano(means.held))
      .raw("available", means.limited ? json_text(format_nano(means.available)) : "null")
      .text("used", format_nano(means.used))
      .take();
}

std::string usage_json(const SelfServiceFacts& facts) {
  const auto write = [](const store::UsageDay& line) {
    return JsonObject()
        .text("date", day_text(line.day))
        .text("model", line.model)
        .number("requests", line.requests)
        .text("charge", format_nano(line.charge))
        .text("currency", line.currency)
        .take();
  };
  return JsonObject()
      .text("object", "usage")
      .text("key", facts.key_id)
      .text("start_date", day_text(facts.days.first))
      .text("end_date", day_text(facts.days.last))
      .raw("data", json_array(facts.usage, write))
      .take();
}

std::string subscription_json(const SelfServiceFacts& facts) {
  const std::string limit = format_nano(granted_of(facts.means));
  const std::string plan = JsonObject().text("title", "Pay-as-you-go").text("id", "payg").take();
  return JsonObject()
      .text("object", "billing_subscription")
      .boolean("has_payment_method", true)
      .raw("soft_limit_usd", limit)
      .raw("hard_limit_usd", limit)
      .raw("system_hard_limit_usd", limit)
      .number("access_until", facts.access_until_unix_s)
      .raw("plan", plan)
      .take();
}

// The lines of one day, which are together, become one entry.
std::string daily_costs(const std::vector<store::UsageDay>& usage, const std::string& currency) {
  std::string out = "[";
  for (std::size_t i = 0; i < usage.size();) {
    const std::uint64_t day = usage[i].day;
    std::vector<store::UsageDay> lines;
    for (; i < usage.size() && usage[i].day == day; ++i) {
      if (usage[i].currency == currency) lines.push_back(usage[i]);
    }
    const auto write = [](const store::UsageDay& line) {
      return JsonObject().text("name", line.model).raw("cost", cents(line.charge)).take();
    };
    if (out.size() > 1) out += ',';
    out += JsonObject()
               .number("timestamp", day * kDayS)
               .raw("line_items", json_array(lines, write))
               .take();
  }
  return out + "]";
}

std::string dashboard_usage_json(const SelfServiceFacts& facts) {
  return JsonObject()
      .text("object", "list")
      .raw("total_usage", cents(facts.means.used))
      .raw("daily_costs", daily_costs(facts.usage, facts.means.currency))
      .take();
}

std::string credit_grants_json(const account::Means& means) {
  const std::string none = JsonObject().text("object", "list").raw("data", "[]").take();
  return JsonObject()
      .text("object", "credit_summary")
      .raw("total_granted", format_nano(granted_of(means)))
      .raw("total_used", format_nano(means.used))
      .raw("total_available", format_nano(available_of(means)))
      .raw("grants", none)
      .take();
}

}  // namespace

std::optional<SelfServiceKind> self_service_kind(std::string_view path) {
  const std::string_view bare =
      path.starts_with("/v1/dashboard/") ? path.substr(std::string_view("/v1").size()) : path;
  for (const Path& known : kPaths) {
    if (bare == known.path) return known.kind;
  }
  return std::nullopt;
}

bool wants_usage(SelfServiceKind kind) {
  return kind == SelfServiceKind::kUsage || kind == SelfServiceKind::kDashboardUsage;
}

bool wants_whole_account(SelfServiceKind kind) { return kind != SelfServiceKind::kUsage; }

Result<Days, exchange::Failure> read_days(std::string_view query, std::uint64_t today) {
  Days days{first_of_month(today), today};
  const std::pair<std::string_view, std::uint64_t*> bounds[] = {{"start_date", &days.first},
                                                                {"end_date", &days.last}};
  for (const auto& [name, day] : bounds) {
    const std::string_view text = parameter(query, name);
    if (text.empty()) continue;
    const auto read = parse_day(text);
    if (!read) {
      return bad_request(400, "invalid_value",
                         "Invalid '" + std::string(name) + "': expected a day like 2026-11-21.",
                         std::string(name));
    }
    *day = *read;
  }
  if (days.first > days.last) {
    return bad_request(400, "invalid_value", "Invalid 'start_date': it is after the last day.",
                       "start_date");
  }
  // Clients ask for years: what a year has is enough for a table of days.
  if (days.last - days.first >= kDaysMax) days.first = days.last - kDaysMax + 1;
  return days;
}

std::string self_service_json(SelfServiceKind kind, const SelfServiceFacts& facts) {
  switch (kind) {
    case SelfServiceKind::kBalance:
      return balance_json(facts.means);
    case SelfServiceKind::kUsage:
      return usage_json(facts);
    case SelfServiceKind::kSubscription:
      return subscription_json(facts);
    case SelfServiceKind::kDashboardUsage:
      return dashboard_usage_json(facts);
    case SelfServiceKind::kCreditGrants:
      return credit_grants_json(facts.means);
  }
  return "{}";
}

}  // namespace switchyard::surface
