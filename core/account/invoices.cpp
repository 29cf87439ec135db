#include "core/account/invoices.hpp"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <ctime>
#include <map>
#include <tuple>

#include "core/base/nano.hpp"
#include "core/catalog/price.hpp"

namespace switchyard::account {
namespace {

using Json = rapidjson::Writer<rapidjson::StringBuffer>;
using Quantities = std::array<std::uint64_t, store::Receipt::kQuantities>;

constexpr std::int64_t kLateS = 60;  // what ended in the month is written down by then

void put(Json& json, const char* name, std::string_view value) {
  json.Key(name);
  json.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
}

std::string rfc3339(std::int64_t unix_s) {
  const std::time_t time = unix_s;
  std::tm date{};
  gmtime_r(&time, &date);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &date)};
}

struct Usage {
  std::uint64_t requests = 0;
  std::int64_t amount = 0;
  Quantities quantities{};
};

void put_quantities(Json& json, const Quantities& quantities) {
  json.Key("quantities");
  json.StartObject();
  for (std::size_t i = 0; i < catalog::kMeters && i < quantities.size(); ++i) {
    if (quantities[i] == 0) continue;
    const std::string_view name = catalog::to_string(static_cast<catalog::Meter>(i));
    json.Key(name.data(), static_cast<rapidjson::SizeType>(name.size()));
    json.Uint64(quantities[i]);
  }
  json.EndObject();
}

std::string text_of(const rapidjson::Value& object, const char* name) {
  const auto found = object.FindMember(name);
  if (found == object.MemberEnd() || !found->value.IsString()) return {};
  return {found->value.GetString(), found->value.GetStringLength()};
}

// A field of RFC 4180. One that a spreadsheet would take for a formula gets an apostrophe.
void append_field(std::string& line, std::string value, bool is_number = false) {
  if (!line.empty()) line += ',';
  if (!is_number && !value.empty() &&
      std::string_view("=+-@\t\r").find(value.front()) != std::string_view::npos) {
    value.insert(0, "'");
  }
  if (value.find_first_of(",\"\r\n") == std::string::npos) {
    line += value;
    return;
  }
  line += '"';
  for (const char c : value) {
    if (c == '"') line += '"';
    line += c;
  }
  line += '"';
}

}  // namespace

struct Invoices::Draft {
  store::InvoiceRow row;
  std::int64_t opening = 0, closing = 0;
  std::map<std::pair<std::string, std::string>, Usage> usage;  // by model and price version
  std::vector<store::InvoiceEntry> others;

  std::string write(const store::InvoiceRow& invoice) const;
};

std::string Invoices::Draft::write(const store::InvoiceRow& invoice) const {
  rapidjson::StringBuffer text;
  Json json(text);
  json.StartObject();
  if (invoice.number > 0) {
    json.Key("number");
    json.Int64(invoice.number);
    put(json, "issued", rfc3339(invoice.issued_unix_s));
  }
  put(json, "account", invoice.account);
  put(json, "currency", invoice.currency);
  put(json, "start", rfc3339(invoice.start_unix_s));
  put(json, "end", rfc3339(invoice.end_unix_s));
  put(json, "opening_balance", format_nano(opening));
  json.Key("lines");
  json.StartArray();
  for (const auto& [what, sum] : usage) {
    json.StartObject();
    put(json, "kind", "charge");
    put(json, "model", what.first);
    put(json, "price_version", what.second);
    json.Key("requests");
    json.Uint64(sum.requests);
    put_quantities(json, sum.quantities);
    put(json, "amount", format_nano(sum.amount));
    json.EndObject();
  }
  for (const store::InvoiceEntry& entry : others) {
    json.StartObject();
    put(json, "kind", entry.kind);
    put(json, "id", entry.id);
    put(json, "note", entry.note);
    put(json, "at", rfc3339(entry.at_unix_s));
    put(json, "amount", format_nano(entry.amount));
    json.EndObject();
  }
  json.EndArray();
  put(json, "closing_balance", format_nano(closing));
  json.EndObject();
  return {text.GetString(), text.GetSize()};
}

Result<void> Invoices::add_lines(Draft& draft) {
  const store::InvoiceRow& row = draft.row;
  const std::string account = store::account_name(row.account);
  const auto opening = rows_.balance_before(account, row.currency, row.start_unix_s);
  if (!opening) return opening.error();
  draft.opening = draft.closing = *opening;
  const auto add = [&draft](const store::InvoiceEntry& entry) {
    draft.closing += entry.amount;
    if (!entry.has_receipt) {
      draft.others.push_back(entry);
      return;
    }
    Usage& sum = draft.usage[{entry.model, entry.price_version}];
    ++sum.requests;
    sum.amount += entry.amount;
    for (std::size_t i = 0; i < sum.quantities.size(); ++i) {
      sum.quantities[i] += entry.quantities[i];
    }
  };
  return rows_.entries(row.account, row.currency, row.start_unix_s, row.end_unix_s, add);
}

Asked<Invoices::Draft> Invoices::draft(const std::string& account, std::int64_t in_month_unix_s) {
  const auto holder = find_(account);
  if (!holder) return Refusal(holder.error());
  if (!*holder) return Refusal{404, "not_found", "There is no account '" + account + "'."};
  if ((*holder)->payer != account) {
    return Refusal{409, "other_payer",
                   "The account is paid for by '" + (*holder)->payer + "', who has the invoice."};
  }
  const Period month = period_of(in_month_unix_s, Cycle::kMonth, (*holder)->offset);
  Draft draft;
  draft.row.account = account;
  draft.row.currency = (*holder)->currency;
  draft.row.start_unix_s = month.start_unix_s;
  draft.row.end_unix_s = month.end_unix_s;
  return draft;
}

Asked<store::InvoiceRow> Invoices::issue(const std::string& account, std::int64_t in_month_unix_s,
                                         std::int64_t now_unix_s) {
  auto made = draft(account, in_month_unix_s);
  if (!made) return made.error();
  if (now_unix_s < made->row.end_unix_s + kLateS) {
    return Refusal{409, "period_not_over", "The month is not over; ask for a preview instead."};
  }
  const auto issued = [&]() -> Asked<store::InvoiceRow> {
    auto there = rows_.find(account, made->row.currency, made->row.start_unix_s);
    if (!there) return Refusal(there.error());
    if (!*there) return Refusal{404, "not_found", "It was not issued."};
    return std::move(**there);
  };
  auto before = issued();
  if (before || before.error().status != 404) return before;
  const auto flushed = flush_();
  if (!flushed) return Refusal(flushed.error());
  const auto read = add_lines(*made);
  if (!read) return Refusal(read.error());
  made->row.issued_unix_s = now_unix_s;
  auto added =
      rows_.add(made->row, [&made](const store::InvoiceRow& row) { return made->write(row); });
  if (!added) return Refusal(added.error());
  if (!*added) return issued();  // by another, meanwhile
  return std::move(**added);
}

Asked<std::string> Invoices::preview(const std::string& account, std::int64_t in_month_unix_s) {
  auto made = draft(account, in_month_unix_s);
  if (!made) return made.error();
  const auto flushed = flush_();
  if (!flushed) return Refusal(flushed.error());
  const auto read = add_lines(*made);
  if (!read) return Refusal(read.error());
  return made->write(made->row);
}

Result<std::string> invoice_csv(const std::string& document) {
  rapidjson::Document invoice;
  invoice.Parse<rapidjson::kParseIterativeFlag>(document.data(), document.size());
  if (invoice.HasParseError() || !invoice.IsObject() || !invoice.HasMember("lines")) {
    return Error{"the invoice can't be read"};
  }
  std::string csv = "kind,model,price_version,requests";
  for (std::size_t i = 0; i < catalog::kMeters; ++i) {
    csv.append(",").append(catalog::to_string(static_cast<catalog::Meter>(i)));
  }
  csv += ",id,note,at,amount,currency\r\n";
  const std::string currency = text_of(invoice, "currency");
  const auto balance = [&](const char* kind, const char* at, const char* amount) {
    std::string line = kind;
    line.append(3 + catalog::kMeters + 2, ',');
    append_field(line, text_of(invoice, at));
    append_field(line, text_of(invoice, amount), true);
    append_field(line, currency);
    csv += line + "\r\n";
  };
  balance("opening_balance", "start", "opening_balance");
  for (const auto& each : invoice["lines"].GetArray()) {
    std::string line = text_of(each, "kind");
    append_field(line, text_of(each, "model"));
    append_field(line, text_of(each, "price_version"));
    append_field(line,
                 each.HasMember("requests") ? std::to_string(each["requests"].GetUint64()) : "");
    for (std::size_t i = 0; i < catalog::kMeters; ++i) {
      const std::string name(catalog::to_string(static_cast<catalog::Meter>(i)));
      const bool there = each.HasMember("quantities") && each["quantities"].HasMember(name.c_str());
      append_field(line, there ? std::to_string(each["quantities"][name.c_str()].GetUint64()) : "");
    }
    append_field(line, text_of(each, "id"));
    append_field(line, text_of(each, "note"));
    append_field(line, text_of(each, "at"));
    append_field(line, text_of(each, "amount"), true);
    append_field(line, currency);
    csv += line + "\r\n";
  }
  balance("closing_balance", "end", "closing_balance");
  return csv;
}

}  // namespace switchyard::account
