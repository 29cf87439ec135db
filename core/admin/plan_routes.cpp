#include "core/admin/plan_routes.hpp"

#include "core/admin/fields.hpp"
#include "core/base/nano.hpp"
#include "core/base/utc.hpp"

namespace switchyard::admin {
namespace {

using account::Plans;
using account::Refusal;
using store::PlanRow;
using store::SubscriptionRow;

std::string time_text(std::int64_t unix_s) {
  return json_text(utc_text(static_cast<std::uint64_t>(unix_s)));
}

std::string plan_json(const PlanRow& plan) {
  return JsonObject()
      .text("id", plan.id)
      .raw("version", std::to_string(plan.version))
      .text("name", plan.name)
      .text("price", format_nano(plan.price))
      .text("currency", plan.currency)
      .text("period", plan.period)
      .text("quota", format_nano(plan.quota))
      .raw("quota_tokens", plan.quota_tokens)
      .raw("limits", plan.limits)
      .raw("models", plan.models)
      .boolean("offered", plan.offered)
      .raw("created", time_text(plan.created_unix_s))
      .take();
}

std::string subscription_json(const SubscriptionRow& row) {
  return JsonObject()
      .text("id", row.id)
      .text("account", row.account)
      .text("plan", row.plan)
      .raw("plan_version", std::to_string(row.plan_version))
      .text_or_null("next_plan", row.next_plan)
      .text("state", row.state)
      .boolean("ends_with_period", row.ends)
      .text("zone", row.zone)
      .raw("start", time_text(row.start_unix_s))
      .raw("end", time_text(row.end_unix_s))
      .text("granted", format_nano(row.grant_amount))
      .raw("created", time_text(row.created_unix_s))
      .take();
}

template <class Row>
std::string id_of(const Row& row) {
  return row.id;
}

Answer not_found(const std::string& what, const std::string& id) {
  return refusal_answer({404, "not_found", "There is no " + what + " '" + id + "'."});
}

// Left out members are as they are in `plan`.
void read_plan(Fields& fields, PlanRow& plan) {
  plan.name = fields.text("name", plan.name);
  plan.price = fields.amount("price", plan.price);
  plan.currency = fields.text("currency", plan.currency);
  plan.period = fields.text("period", plan.period);
  plan.quota = fields.amount("quota", plan.quota);
  plan.quota_tokens = fields.json("quota_tokens", rapidjson::kArrayType, plan.quota_tokens);
  plan.limits = fields.json("limits", rapidjson::kObjectType, plan.limits);
  plan.models = fields.json("models", rapidjson::kArrayType, plan.models);
  plan.offered = fields.flag("offered", plan.offered);
}

class PlanApi {
 public:
  PlanApi(Plans& plans, UnixNow now) : plans_(plans), now_(std::move(now)) {}

  Answer list(const Request& request) const {
    const auto page = read_page(request);
    if (!page) return page.error();
    auto rows = plans_.rows().plans(page->after, page->limit + 1);
    if (!rows) return refusal_answer(rows.error());
    return page_answer(std::move(*rows), *page, plan_json, id_of<PlanRow>);
  }

  Answer create(const Request& request) const {
    Fields fields(request.body, {"id", "name", "price", "currency", "period", "quota",
                                 "quota_tokens", "limits", "models", "offered"});
    PlanRow plan;
    plan.id = fields.text("id");
    read_plan(fields, plan);
    if (fields.fault()) return *fields.fault();
    return row_answer(plans_.create(std::move(plan), now_()), plan_json, 201);
  }

  Answer show(const Request& request) const {
    const std::string& id = request.params.at("id");
    const auto plan = plans_.rows().plan(id);
    if (!plan) return refusal_answer(plan.error());
    return *plan ? Answer{200, plan_json(**plan)} : not_found("plan", id);
  }

  Answer change(const Request& request) const {
    const std::string& id = request.params.at("id");
    auto plan = plans_.rows().plan(id);
    if (!plan) return refusal_answer(plan.error());
    if (!*plan) return not_found("plan", id);
    Fields fields(request.body, {"name", "price", "currency", "period", "quota", "quota_tokens",
                                 "limits", "models", "offered"});
    read_plan(fields, **plan);
    if (fields.fault()) return *fields.fault();
    return row_answer(plans_.change(std::move(**plan), now_()), plan_json);
  }

  Answer subscriptions(const Request& request) const {
    const auto page = read_page(request);
    if (!page) return page.error();
    auto rows =
        plans_.rows().subscriptions(query_of(request, "account"), page->after, page->limit + 1);
    if (!rows) return refusal_answer(rows.error());
    return page_answer(std::move(*rows), *page, subscription_json, id_of<SubscriptionRow>);
  }

  Answer subscribe(const Request& request) const {
    Fields fields(request.body, {"account", "plan"});
    const std::string account = fields.text("account");
    const std::string plan = fields.text("plan");
    if (fields.fault()) return *fields.fault();
    return row_answer(plans_.subscribe(account, plan, now_()), subscription_json, 201);
  }

  Answer subscription(const Request& request) const {
    const std::string& id = request.params.at("id");
    const auto row = plans_.rows().subscription(id);
    if (!row) return refusal_answer(row.error());
    return *row ? Answer{200, subscription_json(**row)} : not_found("subscription", id);
  }

  Answer change_subscription(const Request& request) const {
    Fields fields(request.body, {"plan", "when"});
    const std::string plan = fields.text("plan");
    const auto when = read_when(fields);
    if (fields.fault()) return *fields.fault();
    if (!when) return bad_when();
    return row_answer(plans_.change_to(request.params.at("id"), plan, *when, now_()),
                      subscription_json);
  }

  Answer cancel(const Request& request) const {
    Fields fields(request.body, {"when"});
    const auto when = read_when(fields);
    if (fields.fault()) return *fields.fault();
    if (!when) return bad_when();
    return row_answer(plans_.cancel(request.params.at("id"), *when, now_()), subscription_json);
  }

 private:
  static std::optional<Plans::When> read_when(Fields& fields) {
    const std::string when = fields.text("when", "next_period");
    if (when == "now") return Plans::When::kNow;
    if (when == "next_period") return Plans::When::kNextPeriod;
    return std::nullopt;
  }
  static Answer bad_when() {
    return refusal_answer({400, "bad_body", "when: expected now or next_period."});
  }

  Plans& plans_;
  UnixNow now_;
};

}  // namespace

std::vector<Route> plan_routes(account::Plans& plans, UnixNow now) {
  const auto api = std::make_shared<const PlanApi>(plans, std::move(now));
  const auto call = [api](Answer (PlanApi::*answer)(const Request&) const) {
    return [api, answer](const Request& request) { return ((*api).*answer)(request); };
  };
  constexpr auto kToken = Access::kToken;
  const std::string plan = "/admin/v1/plans/{id}";
  const std::string subscription = "/admin/v1/subscriptions/{id}";
  return {
      {"GET", "/admin/v1/plans", kToken, call(&PlanApi::list), Role::kViewer},
      made_once({"POST", "/admin/v1/plans", kToken, call(&PlanApi::create), Role::kOperator}),
      {"GET", plan, kToken, call(&PlanApi::show), Role::kViewer},
      {"PATCH", plan, kToken, call(&PlanApi::change), Role::kOperator},
      {"GET", "/admin/v1/subscriptions", kToken, call(&PlanApi::subscriptions), Role::kViewer},
      made_once(
          {"POST", "/admin/v1/subscriptions", kToken, call(&PlanApi::subscribe), Role::kOperator}),
      {"GET", subscription, kToken, call(&PlanApi::subscription), Role::kViewer},
      made_once({"POST", subscription + "/change", kToken, call(&PlanApi::change_subscription),
                 Role::kOperator}),
      made_once(
          {"POST", subscription + "/cancel", kToken, call(&PlanApi::cancel), Role::kOperator}),
  };
}

}  // namespace switchyard::admin
