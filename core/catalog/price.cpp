#include "core/catalog/price.hpp"

#include <algorithm>
#include <functional>
#include <limits>

#include "core/catalog/catalog.hpp"

namespace switchyard::catalog {
namespace {

constexpr std::uint64_t kMillion = 1'000'000;

constexpr std::string_view kBatch = "batch";

// What a bound counts on one meter may be billed on up to five, each rounded up by at most a half.
constexpr Nano kRounding = 3;

constexpr std::array<std::string_view, kMeters> kNames{
    "input",     "cached_input",    "cache_write_5m", "cache_write_1h", "output", "reasoning",
    "audio_in",  "cached_audio_in", "audio_out",      "image_in",       "image",  "second",
    "character", "search",          "call",           "image_out"};

Meter meter_at(std::size_t index) { return static_cast<Meter>(index); }

// Sums up in amounts, and remembers that one did not fit.
class Sum {
 public:
  void add(std::optional<Nano> amount) {
    const auto sum = amount ? add_nano(total_, *amount) : std::nullopt;
    fits_ = fits_ && sum.has_value();
    if (sum) total_ = *sum;
  }
  std::optional<Nano> total() const { return fits_ ? std::optional<Nano>(total_) : std::nullopt; }

 private:
  Nano total_ = 0;
  bool fits_ = true;
};

bool is_token(Meter meter) { return is_by_million(meter) && meter != Meter::kCharacter; }

// That there is some of it, and that it has a price.
bool is_paid(const Rates& rates, const Quantities& all, Meter meter) {
  return at(all, meter) != 0 && rates.find(meter).has_value();
}

// No token has a price, and something else is paid for.
bool is_by_piece(const Rates& rates, const Quantities& all) {
  for (std::size_t i = 0; i < kMeters; ++i) {
    if (is_token(meter_at(i)) && rates.find(meter_at(i))) return false;
  }
  return is_paid(rates, all, Meter::kImage) || is_paid(rates, all, Meter::kSecond) ||
         is_paid(rates, all, Meter::kCharacter) || is_paid(rates, all, Meter::kCall);
}

std::optional<Nano> nothing_if(bool is_sold_otherwise) {
  return is_sold_otherwise ? std::optional<Nano>(0) : std::nullopt;
}

// By another meter's price: the first table of PriceBook's comment.
std::optional<Nano> borrowed_price(const Rates& rates, Meter meter) {
  switch (meter) {
    case Meter::kReasoning:
    case Meter::kImageOut:
      return rates.find(Meter::kOutput);
    case Meter::kCachedInput:
    case Meter::kImageIn:
      return rates.find(Meter::kInput);
    case Meter::kCacheWrite5m:
    case Meter::kCacheWrite1h:
      if (rates.find(Meter::kCacheWrite5m) || rates.find(Meter::kCacheWrite1h)) return std::nullopt;
      return rates.find(Meter::kInput);
    case Meter::kCachedAudioIn:
      return rates.find(Meter::kAudioIn);
    default:
      return std::nullopt;
  }
}

// Nothing to pay, where it is sold otherwise: the second table.
std::optional<Nano> included_price(const Rates& rates, const Quantities& all, Meter meter) {
  switch (meter) {
    case Meter::kAudioOut:
      return nothing_if(is_paid(rates, all, Meter::kCharacter));
    case Meter::kCharacter:
      return nothing_if(is_paid(rates, all, Meter::kAudioOut));
    case Meter::kImageOut:
      return nothing_if(is_paid(rates, all, Meter::kImage));
    case Meter::kImage:
      return nothing_if(at(all, Meter::kImageOut) != 0 &&
                        (rates.find(Meter::kImageOut) || rates.find(Meter::kOutput)));
    default:
      return std::nullopt;
  }
}

// Of one meter, among all that was used.
std::optional<Nano> price_of(const Rates& rates, const Quantities& all, Meter meter) {
  if (const auto own = rates.find(meter)) return own;
  if (const auto included = included_price(rates, all, meter)) return included;
  if (const auto borrowed = borrowed_price(rates, meter)) return borrowed;
  return nothing_if(is_token(meter) && is_by_piece(rates, all));
}

// Of a bound: the dearest that a unit counted here can turn out to be.
std::optional<Nano> worst_price(const Rates& rates, const Quantities& most, Meter meter) {
  const auto dearest = [&](std::initializer_list<Meter> meters) {
    std::optional<Nano> found = price_of(rates, most, meter);
    for (const Meter each : meters) {
      const auto price = price_of(rates, most, each);
      if (found && price) found = std::max(*found, *price);
    }
    return found;
  };
  if (meter == Meter::kInput) {
    return dearest(
        {Meter::kCachedInput, Meter::kCacheWrite5m, Meter::kCacheWrite1h, Meter::kImageIn});
  }
  if (meter == Meter::kOutput) return dearest({Meter::kReasoning, Meter::kImageOut});
  return price_of(rates, most, meter);
}

bool costs_the_price_itself(std::string_view tier) {
  return tier.empty() || tier == "auto" || tier == "default" || tier == "standard" ||
         tier == "standard_only" || tier == "on_demand";
}

std::optional<std::uint64_t> factor(const Tariff& tariff, std::string_view name) {
  for (const auto& [each, millionths] : tariff.factors) {
    if (each == name) return millionths;
  }
  return std::nullopt;
}

// By what each price is taken, one after the other.
struct Multipliers {
  std::array<std::uint64_t, 2> millionths{};  // a batch's, a tier's
  std::size_t count = 0;
  std::uint64_t raise = kMillion;
  void add(std::uint64_t factor) {
    if (factor != kMillion) millionths[count++] = factor;
  }
  // A price that was multiplied is a price again: whole nano-units per million. A search costs the
  // same in a batch and in any tier.
  std::optional<Nano> apply(Meter meter, Nano price) const {
    std::optional<Nano> made = price;
    for (std::size_t i = 0; made && i < count && meter != Meter::kSearch; ++i) {
      made = scale_nano(*made, millionths[i], kMillion);
    }
    return made ? scale_nano(*made, raise, kMillion) : made;
  }
};

std::optional<Multipliers> multipliers(const Tariff& tariff, const PriceContext& context) {
  Multipliers all;
  // Anthropic tells of a batch as of a tier: that is one discount, not two.
  const bool batch_tier = context.service_tier == kBatch;
  if (context.batch || batch_tier) {
    const auto batch = factor(tariff, kBatch);
    if (!batch) return std::nullopt;
    all.add(*batch);
  }
  if (batch_tier) return all;
  if (const auto own = factor(tariff, context.service_tier)) {
    all.add(*own);
  } else if (!costs_the_price_itself(context.service_tier)) {
    return std::nullopt;
  }
  return all;
}

std::uint64_t raised(std::int64_t markup_ppm) {
  const std::int64_t factor = static_cast<std::int64_t>(kMillion) + markup_ppm;
  return factor < 0 ? 0 : static_cast<std::uint64_t>(factor);
}

std::optional<Rated> rate_by(const Tariff& tariff, std::int64_t markup_ppm,
                             const Quantities& quantities, const PriceContext& context) {
  const Tiers* const tiers = tariff.at(context.unix_ns);
  auto times = multipliers(tariff, context);
  if (tiers == nullptr || !times) return std::nullopt;
  times->raise = raised(markup_ppm);
  const Rates& rates = tiers->of(context.prompt_tokens);

  Rated rated;
  rated.currency = tariff.currency;
  Sum sum;
  for (std::size_t i = 0; i < kMeters; ++i) {
    if (quantities[i] == 0) continue;
    const auto listed = price_of(rates, quantities, meter_at(i));
    if (!listed && meter_at(i) == Meter::kCall) continue;
    const auto price = listed ? times->apply(meter_at(i), *listed) : std::nullopt;
    const auto amount = price ? scale_nano(*price, quantities[i], kMillion) : std::nullopt;
    if (!amount) return std::nullopt;
    rated.lines.all[rated.lines.count++] = {meter_at(i), quantities[i], *price, *amount};
    sum.add(amount);
  }
  if (!sum.total()) return std::nullopt;
  rated.total = *sum.total();
  rated.version = tariff.version;
  if (markup_ppm != 0) {
    rated.version += '*';
    rated.version += format_nano(static_cast<Nano>(raised(markup_ppm)) * 1000);
  }
  return rated;
}

// At one tier's rates; the largest amount where it does not fit.
std::optional<Nano> bound_by(const Rates& rates, const Multipliers& times, const Quantities& most) {
  Sum sum;
  for (std::size_t i = 0; i < kMeters; ++i) {
    if (most[i] == 0) continue;
    const auto listed = worst_price(rates, most, meter_at(i));
    if (!listed && meter_at(i) == Meter::kCall) continue;
    if (!listed) return std::nullopt;
    const auto price = times.apply(meter_at(i), *listed);
    sum.add(price ? scale_nano(*price, most[i], kMillion) : std::nullopt);
    if (price && *price != 0 && is_by_million(meter_at(i))) sum.add(kRounding);
  }
  return sum.total().value_or(std::numeric_limits<Nano>::max());
}

std::optional<Bound> bound(const Tariff& tariff, std::int64_t markup_ppm, const Quantities& most,
                           const PriceContext& context) {
  const Tiers* const tiers = tariff.at(context.unix_ns);
  auto times = multipliers(tariff, context);
  if (tiers == nullptr || !times) return std::nullopt;
  times->raise = raised(markup_ppm);
  auto amount = bound_by(tiers->base, *times, most);
  for (const Tiers::Above& tier : tiers->above) {
    if (!amount || context.prompt_tokens <= tier.tokens) break;
    const auto other = bound_by(tier.rates, *times, most);
    amount = other ? std::optional<Nano>(std::max(*amount, *other)) : std::nullopt;
  }
  if (!amount) return std::nullopt;
  return Bound{tariff.currency, *amount};
}

}  // namespace

std::string_view to_string(Meter meter) { return kNames[static_cast<std::size_t>(meter)]; }

std::optional<Meter> meter_of(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return meter_at(static_cast<std::size_t>(found - kNames.begin()));
}

bool is_by_million(Meter meter) {
  switch (meter) {
    case Meter::kImage:
    case Meter::kSecond:
    case Meter::kSearch:
    case Meter::kCall:
      return false;
    default:
      return true;
  }
}

bool Rates::any() const {
  return std::any_of(each_.begin(), each_.end(), [](Nano each) { return each != kUnknown; });
}

const Rates& Tiers::of(std::uint64_t prompt_tokens) const {
  const Rates* rates = &base;
  for (const Above& tier : above) {
    if (prompt_tokens > tier.tokens) rates = &tier.rates;
  }
  return *rates;
}

bool Window::holds(std::int64_t unix_s) const {
  const WallTime now = zone->wall(unix_s);
  const auto begins_on = [this](std::int64_t day, unsigned weekday) {
    return (weekdays >> weekday & 1u) != 0 &&
           !std::binary_search(except.begin(), except.end(), day);
  };
  const std::int64_t today = now.days();
  if (from_s < to_s) {
    return now.second >= from_s && now.second < to_s && begins_on(today, now.weekday);
  }
  if (now.second >= from_s) return begins_on(today, now.weekday);
  return now.second < to_s && begins_on(today - 1, (now.weekday + 6) % 7);
}

const Tariff::Period* Tariff::period(std::uint64_t unix_ns) const {
  const auto unix_s = static_cast<std::int64_t>(unix_ns / 1'000'000'000u);
  for (const Period& each : periods) {
    if (unix_s >= each.from_unix_s && unix_s < each.to_unix_s) return &each;
  }
  return nullptr;
}

const Tiers* Tariff::at(std::uint64_t unix_ns) const {
  const Period* const now = period(unix_ns);
  if (now == nullptr) return nullptr;
  const auto unix_s = static_cast<std::int64_t>(unix_ns / 1'000'000'000u);
  for (const Window& window : now->windows) {
    if (window.holds(unix_s)) return &window.tiers;
  }
  return &now->tiers;
}

std::size_t PriceBook::KeyHash::operator()(const KeyView& key) const {
  const std::hash<std::string_view> hash;
  return hash(key.model) * 31 + hash(key.place);
}

const Tariff* PriceBook::find(const Tariffs& tariffs, std::string_view place,
                              std::string_view model) {
  const auto found = tariffs.find(KeyView{place, model});
  return found == tariffs.end() ? nullptr : found->second.get();
}

void PriceBook::add(Tariffs& tariffs, std::vector<ListedPrice> listed) {
  for (ListedPrice& each : listed) {
    tariffs[Key{std::move(each.provider), std::move(each.model)}] = std::move(each.tariff);
  }
}

PriceBook::PriceBook(const Catalog& catalog, std::vector<ListedPrice> purchase,
                     std::vector<ListedPrice> sale) {
  for (const Model& model : catalog.models()) {
    if (model.tariff) catalog_[Key{model.provider, model.name}] = model.tariff;
  }
  add(purchase_, std::move(purchase));
  add(sale_, std::move(sale));
}

const Tariff* PriceBook::purchase(const Sold& sold) const {
  if (const Tariff* own = find(purchase_, sold.provider, sold.model)) return own;
  if (const Tariff* any = find(purchase_, "", sold.model)) return any;
  return find(catalog_, sold.family, sold.model);
}

const Tariff* PriceBook::sale(std::string_view asked, const Sold& sold) const {
  for (const std::string_view name : {asked, sold.model}) {
    if (const Tariff* own = find(sale_, sold.provider, name)) return own;
    if (const Tariff* any = find(sale_, "", name)) return any;
  }
  return nullptr;
}

std::optional<Rated> PriceBook::rate(const Sold& sold, const Quantities& quantities,
                                     const PriceContext& context) const {
  const Tariff* const tariff = purchase(sold);
  return tariff == nullptr ? std::nullopt : rate_by(*tariff, 0, quantities, context);
}

std::optional<Rated> PriceBook::rate_sale(std::string_view asked, const Sold& sold,
                                          std::int64_t markup_ppm, const Quantities& quantities,
                                          const PriceContext& context) const {
  if (const Tariff* const own = sale(asked, sold)) return rate_by(*own, 0, quantities, context);
  const Tariff* const tariff = purchase(sold);
  return tariff == nullptr ? std::nullopt : rate_by(*tariff, markup_ppm, quantities, context);
}

std::optional<Bound> PriceBook::worst_case(const Sold& sold, const Quantities& most,
                                           const PriceContext& context) const {
  const Tariff* const tariff = purchase(sold);
  return tariff == nullptr ? std::nullopt : bound(*tariff, 0, most, context);
}

std::optional<Bound> PriceBook::worst_sale(std::string_view asked, const Sold& sold,
                                           std::int64_t markup_ppm, const Quantities& most,
                                           const PriceContext& context) const {
  if (const Tariff* const own = sale(asked, sold)) return bound(*own, 0, most, context);
  const Tariff* const tariff = purchase(sold);
  return tariff == nullptr ? std::nullopt : bound(*tariff, markup_ppm, most, context);
}

std::vector<Meter> PriceBook::unpriced(std::string_view asked, const Sold& sold,
                                       const Quantities& most, const PriceContext& context) const {
  const Tariff* tariff = sale(asked, sold);
  if (tariff == nullptr) tariff = purchase(sold);
  const Tiers* const tiers = tariff == nullptr ? nullptr : tariff->at(context.unix_ns);
  std::vector<Meter> missing;
  // A tier has every price that the base has.
  for (std::size_t i = 0; tiers != nullptr && i < kMeters; ++i) {
    if (most[i] == 0 || meter_at(i) == Meter::kCall) continue;
    if (!worst_price(tiers->base, most, meter_at(i))) missing.push_back(meter_at(i));
  }
  return missing;
}

}  // namespace switchyard::catalog
