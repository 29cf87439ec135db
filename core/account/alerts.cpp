#include "core/account/alerts.hpp"

#include <algorithm>

#include "core/account/webhook.hpp"
#include "core/base/json_scan.hpp"
#include "core/base/nano.hpp"
#include "core/observe/log.hpp"

namespace switchyard::account {
namespace {

constexpr std::int64_t kDayS = 86'400;
constexpr std::int64_t kWarnDays[] = {0, 1, 7, 14};
constexpr std::int64_t kDeliverAtOnceMax = 20;
constexpr std::int64_t kFirstRetryS = 10;
constexpr std::int64_t kRetryMaxS = 3600;
constexpr std::int64_t kTriesMax = 32;  // over about a day
constexpr std::int64_t kGivenUp = -1;

void put(std::string& json, const char* name, std::string_view value) {
  json.append(",\"").append(name).append("\":");
  append_json_string(json, value);
}

void put(std::string& json, const char* name, std::int64_t value) {
  json.append(",\"").append(name).append("\":").append(std::to_string(value));
}

__extension__ typedef __int128 Wide;

// Whether `spent` is at least so many per cent of `amount`.
bool reaches(std::int64_t spent, std::int64_t amount, unsigned percent) {
  return static_cast<Wide>(spent) * 100 >= static_cast<Wide>(amount) * percent;
}

std::int64_t retry_after_s(std::int64_t tries) {
  return std::min(kRetryMaxS, kFirstRetryS << std::min<std::int64_t>(tries - 1, 10));
}

}  // namespace

Result<void> Alerts::raise(const std::string& id, const std::string& kind, const std::string& facts,
                           std::int64_t now_unix_s) {
  store::AlertRow row;
  row.id = id;
  row.body = "{\"id\":";
  append_json_string(row.body, id);
  put(row.body, "kind", kind);
  put(row.body, "created", now_unix_s);
  row.body += facts + "}";
  row.created_unix_s = row.due_unix_s = now_unix_s;
  const auto fresh = budgets_.rows().add_alert(row);
  if (!fresh) return fresh.error();
  if (*fresh) spdlog::error("alert kind={} facts={}", kind, observe::quote(row.body));
  return {};
}

Result<void> Alerts::look_at_budgets(std::int64_t now_unix_s) {
  const auto table = budgets_.table(now_unix_s);
  if (!table) return table.error();
  for (const Budget& budget : (*table)->budgets()) {
    const Period& period = budget.period_at(now_unix_s);
    const auto spent = budgets_.rows().spent(budget.id, period.start_unix_s);
    if (!spent) return spent.error();
    for (const unsigned percent : budget.thresholds) {
      if (*spent == 0 || !reaches(*spent, budget.amount, percent)) continue;
      std::string facts;
      put(facts, "budget", budget.id);
      put(facts, "name", budget.name);
      put(facts, "threshold_percent", percent);
      put(facts, "spent", format_nano(*spent));
      put(facts, "amount", format_nano(budget.amount));
      put(facts, "currency", budget.currency);
      put(facts, "period_start", period.start_unix_s);
      const auto raised = raise(budget.cell_name(period) + ":" + std::to_string(percent), "budget",
                                facts, now_unix_s);
      if (!raised) return raised;
    }
  }
  return {};
}

Result<void> Alerts::look_at_balances(const std::vector<AccountBalance>& balances,
                                      std::int64_t floor, std::int64_t now_unix_s) {
  for (const AccountBalance& each : balances) {
    if (each.amount >= floor) continue;
    std::string facts;
    put(facts, "account", each.account);
    put(facts, "balance", format_nano(each.amount));
    put(facts, "floor", format_nano(floor));
    put(facts, "currency", each.currency);
    const auto raised = raise(
        "balance:" + each.account + ":" + each.currency + ":" + std::to_string(now_unix_s / kDayS),
        "balance", facts, now_unix_s);
    if (!raised) return raised;
  }
  return {};
}

Result<void> Alerts::look_at_credentials(const std::vector<ExpiringCredential>& credentials,
                                         std::int64_t now_unix_s) {
  for (const ExpiringCredential& each : credentials) {
    for (const std::int64_t days : kWarnDays) {
      if (now_unix_s < each.expires_unix_s - days * kDayS) continue;
      std::string facts;
      put(facts, "provider", each.provider);
      put(facts, "credential", each.name);
      put(facts, "expires", each.expires_unix_s);
      const auto raised =
          raise("credential:" + each.provider + ":" + each.name + ":" +
                    std::to_string(each.expires_unix_s) + ":" + std::to_string(days),
                "credential", facts, now_unix_s);
      if (!raised) return raised;
      break;  // the nearest says it
    }
  }
  return {};
}

Result<void> Alerts::look_at_refusals(const std::vector<RefusedCredential>& credentials,
                                      std::int64_t now_unix_s) {
  for (const RefusedCredential& each : credentials) {
    std::string facts;
    put(facts, "provider", each.provider);
    put(facts, "credential", each.name);
    put(facts, "reason", each.reason);
    const auto raised = raise(
        "refused:" + each.provider + ":" + each.name + ":" + std::to_string(now_unix_s / kDayS),
        "credential_refused", facts, now_unix_s);
    if (!raised) return raised;
  }
  return {};
}

Result<void> Alerts::look_at_upstreams(const std::vector<LowUpstream>& low,
                                       std::int64_t now_unix_s) {
  for (const LowUpstream& each : low) {
    std::string facts;
    put(facts, "provider", each.provider);
    put(facts, "credential", each.name);
    put(facts, "balance", format_nano(each.amount));
    put(facts, "floor", format_nano(each.floor));
    put(facts, "currency", each.currency);
    const auto raised = raise(
        "upstream:" + each.provider + ":" + each.name + ":" + std::to_string(now_unix_s / kDayS),
        "upstream_balance", facts, now_unix_s);
    if (!raised) return raised;
  }
  return {};
}

Result<void> Alerts::deliver(const Post& post, const Secret& secret, std::int64_t now_unix_s) {
  if (!post) return {};
  auto due = budgets_.rows().due_alerts(now_unix_s, kDeliverAtOnceMax);
  if (!due) return due.error();
  for (store::AlertRow& row : *due) {
    // Taken before it is tried: of two workers in a hot restart one posts it.
    ++row.tries;
    row.due_unix_s = now_unix_s + retry_after_s(row.tries);
    const auto taken = budgets_.rows().update_alert(row, row.tries - 1);
    if (!taken) return taken.error();
    if (!*taken) continue;
    const auto posted = post(row.body, sign_webhook(row.body, secret, now_unix_s));
    if (!posted && row.tries < kTriesMax) continue;
    row.delivered_unix_s = posted ? now_unix_s : kGivenUp;
    if (!posted) {
      spdlog::error("alert_not_delivered alert={} tries={} reason={}", observe::quote(row.id),
                    row.tries, observe::quote(posted.error().message));
    }
    const auto written = budgets_.rows().update_alert(row, row.tries);
    if (!written) return written.error();
  }
  return {};
}

}  // namespace switchyard::account
