#include "core/catalog/price_list.hpp"

#include <algorithm>

#include "core/catalog/catalog.hpp"
#include "core/catalog/tariff_reader.hpp"

namespace switchyard::catalog {
namespace {

using config::child;
using config::Json;
using config::member;
using config::text_of;

constexpr Nano kOne = 1'000'000'000;

bool is_currency(std::string_view code) {
  return code.size() == 3 &&
         std::all_of(code.begin(), code.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

bool is_list_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

class ListReader : JsonReader {
 public:
  ListReader(PriceList& list, std::int64_t version, config::Faults& faults)
      : JsonReader(faults), list_(list), version_(version), tariffs_(faults) {}

  void read(const Json& root) {
    if (!root.IsObject()) return fault("", "not an object");
    list_.name = text(root, "", "name", "");
    if (!is_list_name(list_.name)) {
      fault("/name", "expected 1 to 64 characters of a-z, 0-9, - and _");
    }
    list_.book = text(root, "", "book", "");
    if (list_.book == "fx") return read_rates(root);
    if (list_.book == "purchase" || list_.book == "sale") return read_prices(root);
    fault("/book", "expected purchase, sale or fx");
  }

 private:
  std::string version() const { return list_.name + "#" + std::to_string(version_); }

  void read_rates(const Json& root) {
    only_known(root, "", {"name", "book", "base", "rates"});
    const std::string base = text(root, "", "base", "");
    if (!is_currency(base)) fault("/base", "expected three capitals such as USD (ISO 4217)");
    const Json* const given = member(root, "rates");
    if (given == nullptr || !given->IsObject()) return fault("/rates", "missing, or no object");
    std::map<std::string, Nano, std::less<>> rates;
    for (const auto& entry : given->GetObject()) {
      const std::string code(text_of(entry.name));
      const auto rate = entry.value.IsString() ? parse_nano(text_of(entry.value)) : std::nullopt;
      if (is_currency(code) && code != base && rate && *rate > 0) {
        rates[code] = *rate;
      } else {
        fault(child("/rates", code),
              "expected another currency, and a decimal in quotes above 0: \"EUR\": \"0.861\"");
      }
    }
    list_.fx = FxTable(version(), base, std::move(rates));
  }

  void read_prices(const Json& root) {
    only_known(root, "", {"name", "book", "currency", "holidays", "factors", "prices", "note"});
    const std::string code = currency(root, "", "USD");
    if (const Json* found = member(root, "holidays")) tariffs_.read_holidays(*found, "/holidays");
    if (const Json* found = member(root, "factors")) {
      factors_ = tariffs_.read_factors(*found, "/factors");
    }
    const Json* const prices = member(root, "prices");
    if (prices == nullptr || !prices->IsArray()) return fault("/prices", "missing, or no array");
    for (rapidjson::SizeType i = 0; i < prices->Size(); ++i) {
      read_price((*prices)[i], child("/prices", i), code);
    }
  }

  void read_price(const Json& value, const std::string& pointer, const std::string& code) {
    if (!value.IsObject()) return fault(pointer, "not an object");
    only_known(value, pointer, {"model", "provider", "price", "factors", "note"});
    ListedPrice listed;
    listed.model = text(value, pointer, "model", "");
    listed.provider = text(value, pointer, "provider", "");
    if (listed.model.empty()) fault(child(pointer, "model"), "missing");
    const Json* const factors = member(value, "factors");
    TariffReader::Factors own =
        factors == nullptr ? factors_ : tariffs_.read_factors(*factors, child(pointer, "factors"));
    const Json* const price = member(value, "price");
    if (price == nullptr) return fault(child(pointer, "price"), "missing");
    auto tariff = tariffs_.read(*price, child(pointer, "price"), code, version(), std::move(own));
    if (!tariff) return;
    const bool doubled =
        std::any_of(list_.prices.begin(), list_.prices.end(), [&](const ListedPrice& other) {
          return other.provider == listed.provider && other.model == listed.model;
        });
    if (doubled) fault(child(pointer, "model"), "\"" + listed.model + "\" is given twice");
    listed.tariff = std::make_shared<const Tariff>(std::move(*tariff));
    list_.prices.push_back(std::move(listed));
  }

  PriceList& list_;
  std::int64_t version_;
  TariffReader tariffs_;
  TariffReader::Factors factors_;
};

}  // namespace

FxTable::FxTable(std::string version, std::string base,
                 std::map<std::string, Nano, std::less<>> rates)
    : version_(std::move(version)), rates_(std::move(rates)) {
  rates_[std::move(base)] = kOne;
}

std::optional<Exchanged> FxTable::exchange(Nano amount, std::string_view from,
                                           std::string_view to) const {
  if (from == to) return Exchanged{amount, {}};
  const auto out = rates_.find(from), in = rates_.find(to);
  if (out == rates_.end() || in == rates_.end()) return std::nullopt;
  const auto exchanged = scale_nano(amount, static_cast<std::uint64_t>(in->second),
                                    static_cast<std::uint64_t>(out->second));
  if (!exchanged) return std::nullopt;
  return Exchanged{*exchanged, version_};
}

Result<PriceList, config::Faults> read_price_list(std::string_view text, std::int64_t version) {
  const auto document = config::parse_text(text);
  if (!document) return document.error();
  config::Faults faults;
  PriceList list;
  ListReader(list, version, faults).read(*document);
  if (!faults.empty()) return faults;
  return list;
}

Result<PricesInForce> prices_in_force(const Catalog& catalog,
                                      const std::vector<store::PriceListRow>& lists) {
  std::vector<ListedPrice> purchase, sale;
  FxTable fx;
  for (const store::PriceListRow& row : lists) {
    auto list = read_price_list(row.body, row.version);
    if (!list) {
      const config::Fault& fault = list.error().front();
      return Error{"price list " + row.name + "#" + std::to_string(row.version) + ": " +
                   fault.pointer + ": " + fault.message};
    }
    if (row.book == "fx") fx = std::move(list->fx);
    auto& to = row.book == "sale" ? sale : purchase;
    std::move(list->prices.begin(), list->prices.end(), std::back_inserter(to));
  }
  return PricesInForce{
      std::make_shared<const PriceBook>(catalog, std::move(purchase), std::move(sale)),
      std::make_shared<const FxTable>(std::move(fx))};
}

}  // namespace switchyard::catalog
