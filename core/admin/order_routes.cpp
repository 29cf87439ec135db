#include "core/admin/order_routes.hpp"

#include <charconv>
#include <chrono>

#include "core/admin/fields.hpp"
#include "core/base/nano.hpp"
#include "core/base/utc.hpp"

namespace switchyard::admin {
namespace {

using account::Refusal;
using store::CodeBatchRow;
using store::InvoiceRow;
using store::OrderRow;

std::string time_text(std::int64_t unix_s) {
  return unix_s == 0 ? "null" : json_text(utc_text(static_cast<std::uint64_t>(unix_s)));
}

JsonObject order_object(const OrderRow& order) {
  JsonObject json;
  json.text("id", order.id)
      .text("account", order.account)
      .text("kind", order.kind)
      .text("provider", order.provider)
      .text("reference", order.reference)
      .text("amount", format_nano(order.amount))
      .text("currency", order.currency)
      .text_or_null("plan", order.plan)
      .text_or_null("of_order", order.of_order)
      .text("state", order.state)
      .text_or_null("payment", order.payment)
      .text("refunded", format_nano(order.refunded))
      .text_or_null("alarm", order.alarm)
      .raw("created", time_text(order.created_unix_s))
      .raw("changed", time_text(order.changed_unix_s));
  return json;
}

std::string order_json(const OrderRow& order) { return order_object(order).take(); }

std::string event_json(const store::PaymentEventRow& event) {
  return JsonObject()
      .text("id", event.id)
      .text("type", event.type)
      .text("outcome", event.outcome)
      .raw("at", time_text(event.at_unix_s))
      .take();
}

JsonObject batch_object(const CodeBatchRow& batch) {
  JsonObject json;
  json.text("id", batch.id)
      .text("name", batch.name)
      .text("amount", format_nano(batch.amount))
      .text("currency", batch.currency)
      .raw("count", std::to_string(batch.count))
      .raw("uses", std::to_string(batch.uses))
      .raw("used", std::to_string(batch.used))
      .raw("expires", time_text(batch.expires_unix_s))
      .boolean("disabled", batch.disabled)
      .raw("created", time_text(batch.created_unix_s));
  return json;
}

std::string batch_json(const CodeBatchRow& batch) { return batch_object(batch).take(); }

std::string new_batch_json(const account::Orders::NewBatch& made) {
  return batch_object(made.row).raw("codes", json_array(made.codes, json_text)).take();
}

std::string invoice_json(const InvoiceRow& invoice) { return invoice.document; }

template <class Row>
std::string id_of(const Row& row) {
  return row.id;
}

// A time within the month "2026-10": the middle of it, which is in it in every zone.
std::optional<std::int64_t> in_month(const std::string& month) {
  const auto at = parse_utc(month + "-15T00:00:00Z");
  if (!at) return std::nullopt;
  return static_cast<std::int64_t>(*at);
}

Answer bad_month() {
  return refusal_answer({400, "bad_body", "month: expected a month, like 2026-10."});
}

class OrderApi {
 public:
  OrderApi(account::Orders& orders, account::Invoices& invoices, UnixNow now)
      : orders_(orders), invoices_(invoices), now_(std::move(now)) {}

  Answer list(const Request& request) const {
    const auto page = read_page(request);
    if (!page) return page.error();
    auto rows = orders_.rows().list(query_of(request, "account"), query_of(request, "state"),
                                    page->after, page->limit + 1);
    if (!rows) return refusal_answer(rows.error());
    return page_answer(std::move(*rows), *page, order_json, id_of<OrderRow>);
  }

  Answer create(const Request& request) const {
    Fields fields(request.body,
                  {"account", "kind", "provider", "reference", "amount", "currency", "plan"});
    OrderRow order;
    order.account = fields.text("account");
    order.kind = fields.text("kind", "top_up");
    order.provider = fields.text("provider", "manual");
    order.reference = fields.text("reference");
    order.amount = fields.amount("amount");
    order.currency = fields.text("currency");
    order.plan = fields.text("plan");
    if (fields.fault()) return *fields.fault();
    return row_answer(orders_.create(std::move(order), now_()), order_json, 201);
  }

  Answer show(const Request& request) const {
    const std::string& id = request.params.at("id");
    const auto order = orders_.rows().find(id);
    if (!order) return refusal_answer(order.error());
    if (!*order) return refusal_answer({404, "not_found", "There is no order '" + id + "'."});
    const auto events = orders_.rows().events(id);
    if (!events) return refusal_answer(events.error());
    return {200, order_object(**order).raw("events", json_array(*events, event_json)).take()};
  }

  Answer pay(const Request& request) const {
    Fields fields(request.body, {"payment"});
    const std::string payment = fields.text("payment");
    if (fields.fault()) return *fields.fault();
    return row_answer(orders_.mark_paid(request.params.at("id"), payment, now_()), order_json);
  }

  Answer cancel(const Request& request) const {
    return row_answer(orders_.cancel(request.params.at("id"), now_()), order_json);
  }

  Answer refund(const Request& request) const {
    Fields fields(request.body, {"amount", "reference"});
    const std::int64_t amount = fields.amount("amount");
    const std::string reference = fields.text("reference");
    if (fields.fault()) return *fields.fault();
    return row_answer(orders_.refund(request.params.at("id"), amount, reference, now_()),
                      order_json, 201);
  }

  Answer batches(const Request& request) const {
    const auto page = read_page(request);
    if (!page) return page.error();
    auto rows = orders_.rows().batches(page->after, page->limit + 1);
    if (!rows) return refusal_answer(rows.error());
    return page_answer(std::move(*rows), *page, batch_json, id_of<CodeBatchRow>);
  }

  Answer create_codes(const Request& request) const {
    Fields fields(request.body, {"name", "amount", "currency", "count", "uses", "expires"});
    CodeBatchRow batch;
    batch.name = fields.text("name");
    batch.amount = fields.amount("amount");
    batch.currency = fields.text("currency");
    batch.count = fields.number("count", 1);
    batch.uses = fields.number("uses", 1);
    batch.expires_unix_s = fields.time("expires");
    if (fields.fault()) return *fields.fault();
    return row_answer(orders_.create_codes(std::move(batch), now_()), new_batch_json, 201);
  }

  Answer disable_batch(const Request& request) const {
    const std::string& id = request.params.at("id");
    const auto disabled = orders_.rows().disable_batch(id);
    if (!disabled) return refusal_answer(disabled.error());
    if (*disabled) return {200, JsonObject().text("id", id).boolean("disabled", true).take()};
    return refusal_answer({404, "not_found", "There is no batch of codes '" + id + "'."});
  }

  Answer redeem(const Request& request) const {
    Fields fields(request.body, {"account", "code"});
    const std::string account = fields.text("account");
    const std::string code = fields.text("code");
    if (fields.fault()) return *fields.fault();
    return row_answer(orders_.redeem(account, code, now_()), order_json, 201);
  }

  Answer invoices(const Request& request) const {
    const auto page = read_page(request);
    if (!page) return page.error();
    std::int64_t after = 0;
    const char* const end = page->after.data() + page->after.size();
    if (!page->after.empty() && std::from_chars(page->after.data(), end, after).ptr != end) {
      return refusal_answer({400, "bad_query", "after: expected an invoice's number."});
    }
    auto rows = invoices_.rows().list(query_of(request, "account"), after, page->limit + 1);
    if (!rows) return refusal_answer(rows.error());
    return page_answer(std::move(*rows), *page, invoice_json,
                       [](const InvoiceRow& row) { return std::to_string(row.number); });
  }

  Answer issue(const Request& request) const {
    Fields fields(request.body, {"account", "month"});
    const std::string account = fields.text("account");
    const auto month = in_month(fields.text("month"));
    if (fields.fault()) return *fields.fault();
    if (!month) return bad_month();
    return row_answer(invoices_.issue(account, *month, now_()), invoice_json, 201);
  }

  Answer preview(const Request& request) const {
    const auto month = in_month(query_of(request, "month"));
    if (!month) return bad_month();
    return document_answer(invoices_.preview(query_of(request, "account"), *month), request);
  }

  Answer invoice(const Request& request) const {
    const std::string& text = request.params.at("number");
    std::int64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    const auto row = invoices_.rows().find(number);
    if (!row) return refusal_answer(row.error());
    if (!*row) return refusal_answer({404, "not_found", "There is no invoice '" + text + "'."});
    return document_answer((*row)->document, request);
  }

 private:
  static Answer document_answer(const account::Asked<std::string>& document,
                                const Request& request) {
    if (!document) return refusal_answer(document.error());
    const std::string format = query_of(request, "format");
    if (format.empty() || format == "json") return {200, *document};
    if (format != "csv") {
      return refusal_answer({400, "bad_query", "format: expected json or csv."});
    }
    auto csv = account::invoice_csv(*document);
    if (!csv) return refusal_answer(csv.error());
    return {200, std::move(*csv), "text/csv; charset=utf-8"};
  }

  account::Orders& orders_;
  account::Invoices& invoices_;
  UnixNow now_;
};

}  // namespace

std::vector<Route> order_routes(account::Orders& orders, account::Invoices& invoices, UnixNow now) {
  const auto api = std::make_shared<const OrderApi>(orders, invoices, std::move(now));
  const auto call = [api](Answer (OrderApi::*answer)(const Request&) const) {
    return [api, answer](const Request& request) { return ((*api).*answer)(request); };
  };
  constexpr auto kToken = Access::kToken;
  const auto hidden = [](Route route) {
    route.private_body = true;  // a code is money to whoever reads it
    return route;
  };
  const std::string all = "/admin/v1/orders";
  const std::string one = all + "/{id}";
  const std::string codes = "/admin/v1/codes";
  const std::string invoice = "/admin/v1/invoices";
  return {
      {"GET", all, kToken, call(&OrderApi::list), Role::kViewer},
      made_once({"POST", all, kToken, call(&OrderApi::create), Role::kOperator}),
      {"GET", one, kToken, call(&OrderApi::show), Role::kViewer},
      made_once({"POST", one + "/pay", kToken, call(&OrderApi::pay), Role::kOperator}),
      made_once({"POST", one + "/cancel", kToken, call(&OrderApi::cancel), Role::kOperator}),
      made_once({"POST", one + "/refund", kToken, call(&OrderApi::refund), Role::kOperator}),
      {"GET", codes, kToken, call(&OrderApi::batches), Role::kViewer},
      made_once({"POST", codes, kToken, call(&OrderApi::create_codes), Role::kOperator}),
      {"POST", codes + "/{id}/disable", kToken, call(&OrderApi::disable_batch), Role::kOperator},
      made_once(hidden(
          {"POST", "/admin/v1/redemptions", kToken, call(&OrderApi::redeem), Role::kOperator})),
      {"GET", invoice, kToken, call(&OrderApi::invoices), Role::kViewer},
      made_once({"POST", invoice, kToken, call(&OrderApi::issue), Role::kOperator}),
      {"GET", invoice + "/preview", kToken, call(&OrderApi::preview), Role::kViewer},
      {"GET", invoice + "/{number}", kToken, call(&OrderApi::invoice), Role::kViewer},
  };
}

}  // namespace switchyard::admin
