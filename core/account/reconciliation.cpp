#include "core/account/reconciliation.hpp"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>

#include "core/base/utc.hpp"

namespace switchyard::account {
namespace {

using Json = rapidjson::Writer<rapidjson::StringBuffer>;

constexpr std::uint64_t kSecondsPerDay = 86'400;

void put(Json& json, const char* name, const std::string& text) {
  json.Key(name);
  json.String(text);
}

void put(Json& json, const char* name, std::uint64_t number) {
  json.Key(name);
  json.Uint64(number);
}

void put(Json& json, const char* name, const ReconciledPart& part) {
  json.Key(name);
  json.StartObject();
  put(json, "requests", part.requests);
  put(json, "attempts", part.attempts);
  put(json, "unpriced", part.unpriced);
  json.Key("quantities");
  json.StartObject();
  for (std::size_t i = 0; i < std::min(catalog::kMeters, part.quantities.size()); ++i) {
    if (part.quantities[i] == 0) continue;
    put(json, std::string(catalog::to_string(static_cast<catalog::Meter>(i))).c_str(),
        part.quantities[i]);
  }
  json.EndObject();
  json.Key("cost");
  json.StartObject();
  for (const auto& [currency, amount] : part.cost) {
    put(json, currency.c_str(), format_nano(amount));
  }
  json.EndObject();
  json.EndObject();
}

void add(ReconciledLine& line, const store::ReconciliationRow& row) {
  ReconciledPart& part = row.estimated ? line.estimated : line.reported;
  part.requests += row.requests;
  part.attempts += row.attempts;
  part.unpriced += row.unpriced;
  for (std::size_t i = 0; i < part.quantities.size(); ++i) {
    part.quantities[i] += row.quantities[i];
  }
  if (row.cost != 0) part.cost[row.cost_currency] += row.cost;
  if (row.charge == 0 && row.shortfall == 0) return;
  line.billed[row.currency].charge += row.charge;
  line.billed[row.currency].shortfall += row.shortfall;
}

}  // namespace

Result<std::vector<ReconciledLine>> reconcile(store::Database& database, std::uint64_t first_day,
                                              std::uint64_t last_day, const std::string& provider,
                                              const std::string& model) {
  const auto rows = store::Reconciliation(database).list(first_day, last_day, provider, model);
  if (!rows) return rows.error();
  std::vector<ReconciledLine> lines;
  for (const store::ReconciliationRow& row : *rows) {
    const bool same = !lines.empty() && lines.back().day == row.day &&
                      lines.back().provider == row.provider && lines.back().model == row.model;
    if (!same) {
      ReconciledLine& line = lines.emplace_back();
      line.day = row.day;
      line.provider = row.provider;
      line.model = row.model;
    }
    add(lines.back(), row);
  }
  return lines;
}

std::string to_json(const ReconciledLine& line) {
  rapidjson::StringBuffer text;
  Json json(text);
  json.StartObject();
  put(json, "day", utc_text(line.day * kSecondsPerDay).substr(0, 10));
  put(json, "provider", line.provider);
  put(json, "model", line.model);
  put(json, "reported", line.reported);
  put(json, "estimated", line.estimated);
  json.Key("billed");
  json.StartObject();
  for (const auto& [currency, billed] : line.billed) {
    json.Key(currency.c_str());
    json.StartObject();
    put(json, "charge", format_nano(billed.charge));
    put(json, "shortfall", format_nano(billed.shortfall));
    json.EndObject();
  }
  json.EndObject();
  json.EndObject();
  return {text.GetString(), text.GetSize()};
}

}  // namespace switchyard::account
