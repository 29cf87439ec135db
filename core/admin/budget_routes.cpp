#include "core/admin/budget_routes.hpp"

#include <charconv>

#include "core/admin/fields.hpp"
#include "core/base/nano.hpp"
#include "core/base/utc.hpp"

namespace switchyard::admin {
namespace {

using store::AlertRow;
using store::BudgetRow;

std::string time_text(std::int64_t unix_s) {
  return unix_s <= 0 ? "null" : json_text(utc_text(static_cast<std::uint64_t>(unix_s)));
}

std::string alert_json(const AlertRow& alert) {
  return JsonObject()
      .text("id", alert.id)
      .raw("alert", alert.body)
      .raw("created", time_text(alert.created_unix_s))
      .raw("tries", std::to_string(alert.tries))
      .raw("delivered", time_text(alert.delivered_unix_s))
      .boolean("given_up", alert.delivered_unix_s < 0)
      .take();
}

class BudgetApi {
 public:
  BudgetApi(account::Budgets& budgets, UnixNow now) : budgets_(budgets), now_(std::move(now)) {}

  Answer list(const Request& request) const {
    const auto page = read_page(request);
    if (!page) return page.error();
    auto rows = budgets_.rows().list(page->after, page->limit + 1);
    if (!rows) return refusal_answer(rows.error());
    return page_answer(
        std::move(*rows), *page, [this](const BudgetRow& row) { return json(row); },
        [](const BudgetRow& row) { return row.id; });
  }

  Answer create(const Request& request) const {
    Fields fields(request.body, {"name", "account", "key", "feature", "model", "period", "zone",
                                 "amount", "currency", "hard", "thresholds"});
    BudgetRow row;
    row.name = fields.text("name");
    row.account = fields.text("account");
    row.key_id = fields.text("key");
    row.feature = fields.text("feature");
    row.model = fields.text("model");
    row.period = fields.text("period", "month");
    row.zone = fields.text("zone", "UTC");
    row.amount = fields.amount("amount", -1);
    row.currency = fields.text("currency");
    row.hard = fields.flag("hard", true);
    row.thresholds = fields.json("thresholds", rapidjson::kArrayType, "[50,80,100]");
    if (fields.fault()) return *fields.fault();
    return answer(budgets_.create(std::move(row), now_()), 201);
  }

  Answer show(const Request& request) const { return answer(find(request)); }

  Answer change(const Request& request) const {
    auto row = find(request);
    if (!row) return refusal_answer(row.error());
    Fields fields(request.body, {"name", "amount", "hard", "thresholds", "disabled"});
    row->name = fields.text("name", row->name);
    row->amount = fields.amount("amount", row->amount);
    row->hard = fields.flag("hard", row->hard);
    row->thresholds = fields.json("thresholds", rapidjson::kArrayType, row->thresholds);
    row->disabled = fields.flag("disabled", row->disabled);
    if (fields.fault()) return *fields.fault();
    return answer(budgets_.change(*row));
  }

  Answer alerts(const Request& request) const {
    const auto page = read_page(request);
    if (!page) return page.error();
    std::int64_t before = INT64_MAX;
    const char* const end = page->after.data() + page->after.size();
    if (!page->after.empty() && std::from_chars(page->after.data(), end, before).ptr != end) {
      return refusal_answer({400, "bad_query", "after: expected the cursor of a page."});
    }
    auto rows = budgets_.rows().alerts(before, page->limit + 1);
    if (!rows) return refusal_answer(rows.error());
    return page_answer(std::move(*rows), *page, alert_json,
                       [](const AlertRow& row) { return std::to_string(row.seq); });
  }

 private:
  account::Asked<BudgetRow> find(const Request& request) const {
    const std::string& id = request.params.at("id");
    auto row = budgets_.rows().find(id);
    if (!row) return account::Refusal(row.error());
    if (!*row) return account::Refusal{404, "not_found", "There is no budget '" + id + "'."};
    return std::move(**row);
  }

  Answer answer(const account::Asked<BudgetRow>& row, int status = 200) const {
    return row_answer(row, [this](const BudgetRow& each) { return json(each); }, status);
  }

  // What was spent is null where that can't be told.
  std::string json(const BudgetRow& row) const {
    const auto spent = budgets_.spent(row, now_());
    return JsonObject()
        .text("id", row.id)
        .text("name", row.name)
        .text_or_null("account", row.account)
        .text_or_null("key", row.key_id)
        .text_or_null("feature", row.feature)
        .text_or_null("model", row.model)
        .text("period", row.period)
        .text("zone", row.zone)
        .text("amount", format_nano(row.amount))
        .text("currency", row.currency)
        .boolean("hard", row.hard)
        .raw("thresholds", row.thresholds)
        .boolean("disabled", row.disabled)
        .text_or_null("spent", spent ? format_nano(spent->amount) : "")
        .raw("period_start", spent ? time_text(spent->period.start_unix_s) : "null")
        .raw("period_end", spent ? time_text(spent->period.end_unix_s) : "null")
        .raw("created", time_text(row.created_unix_s))
        .take();
  }

  account::Budgets& budgets_;
  UnixNow now_;
};

}  // namespace

std::vector<Route> budget_routes(account::Budgets& budgets, UnixNow now) {
  const auto api = std::make_shared<const BudgetApi>(budgets, std::move(now));
  const auto call = [api](Answer (BudgetApi::*answer)(const Request&) const) {
    return [api, answer](const Request& request) { return ((*api).*answer)(request); };
  };
  constexpr auto kToken = Access::kToken;
  const std::string all = "/admin/v1/budgets";
  const std::string one = all + "/{id}";
  return {
      {"GET", all, kToken, call(&BudgetApi::list), Role::kViewer},
      made_once({"POST", all, kToken, call(&BudgetApi::create), Role::kOperator}),
      {"GET", one, kToken, call(&BudgetApi::show), Role::kViewer},
      {"PATCH", one, kToken, call(&BudgetApi::change), Role::kOperator},
      {"GET", "/admin/v1/alerts", kToken, call(&BudgetApi::alerts), Role::kViewer},
  };
}

}  // namespace switchyard::admin
