// An operator's price list, as it is imported:
//
//   {"name": "retail", "book": "sale", "currency": "EUR",
//    "prices": [{"model": "fast", "price": {"input": "1.2", "output": "4"}},
//               {"model": "gpt-6-luna", "provider": "azure-eu", "price": {...}}]}
//
// or rates of exchange: what one unit of the base costs in each currency.
//
//   {"name": "bank", "book": "fx", "base": "USD", "rates": {"EUR": "0.861", "CNY": "7.118"}}
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/catalog/price.hpp"
#include "core/config/config.hpp"
#include "core/store/prices.hpp"

namespace switchyard::catalog {

// Of a list's text: one of every model of every provider fits.
inline constexpr std::size_t kPriceListBytesMax = 8 * 1024 * 1024;

struct Exchanged {
  Nano amount = 0;      // rounded once, halves away from zero
  std::string version;  // "bank#3"; empty where nothing was exchanged
};

// Rates of exchange, immutable. [any thread]
class FxTable {
 public:
  FxTable() = default;
  // Per unit of `base`, in nano-units.
  FxTable(std::string version, std::string base, std::map<std::string, Nano, std::less<>> rates);

  // Nothing where a rate is unknown, or the amount would not fit. A currency into itself is as it
  // is, whatever is known.
  std::optional<Exchanged> exchange(Nano amount, std::string_view from, std::string_view to) const;

 private:
  std::string version_;
  std::map<std::string, Nano, std::less<>> rates_;
};

struct PriceList {
  std::string name, book;
  std::vector<ListedPrice> prices;  // of "purchase" and "sale"
  FxTable fx;                       // of "fx"
};

// `version` is what bills will name, such as 3; 0 for a list that is only checked.
Result<PriceList, config::Faults> read_price_list(std::string_view text, std::int64_t version);

struct PricesInForce {
  std::shared_ptr<const PriceBook> book;
  std::shared_ptr<const FxTable> fx;
};

// Of the catalog and the lists in force, in the order of their import: of two that name the same
// provider and model the later one counts, and of rates of exchange the latest list alone.
Result<PricesInForce> prices_in_force(const Catalog& catalog,
                                      const std::vector<store::PriceListRow>& lists);

}  // namespace switchyard::catalog
