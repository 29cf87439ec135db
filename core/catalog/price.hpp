// What a request costs: meters, tariffs, and the book that finds the tariff of a model and rates
// quantities by it. Nothing here is ever taken as zero because it is unknown.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/nano.hpp"
#include "core/base/zone.hpp"

namespace switchyard::catalog {

enum class Meter : std::uint8_t {
  kInput,         // tokens read, none of those below
  kCachedInput,   // tokens read from a cache
  kCacheWrite5m,  // tokens written to a cache, for the upstream's short time
  kCacheWrite1h,  // and for its long one
  kOutput,        // tokens generated, none of those below
  kReasoning,     // tokens of reasoning
  kAudioIn,       // tokens of sound
  kCachedAudioIn,
  kAudioOut,
  kImageIn,    // tokens of pictures
  kImage,      // pictures made
  kSecond,     // of sound or film, begun ones whole
  kCharacter,  // spoken
  kSearch,     // searches that the upstream made
  kCall,       // requests
  kImageOut,   // tokens of pictures made
};
inline constexpr std::size_t kMeters = 16;

// "input", "cached_input", "cache_write_5m" ...: as price lists write them.
std::string_view to_string(Meter meter);
std::optional<Meter> meter_of(std::string_view name);
// Price lists give these by the million, and the others by the piece.
bool is_by_million(Meter meter);

// By meter, without overlap: a token stands in one of them.
using Quantities = std::array<std::uint64_t, kMeters>;

inline std::uint64_t& at(Quantities& quantities, Meter meter) {
  return quantities[static_cast<std::size_t>(meter)];
}
inline std::uint64_t at(const Quantities& quantities, Meter meter) {
  return quantities[static_cast<std::size_t>(meter)];
}

// Nano-units per million of each meter; nothing where no price is known.
class Rates {
 public:
  Rates() { each_.fill(kUnknown); }
  void set(Meter meter, Nano per_million) { each_[static_cast<std::size_t>(meter)] = per_million; }
  std::optional<Nano> find(Meter meter) const {
    const Nano found = each_[static_cast<std::size_t>(meter)];
    return found == kUnknown ? std::nullopt : std::optional<Nano>(found);
  }
  bool any() const;
  bool operator==(const Rates&) const = default;

 private:
  static constexpr Nano kUnknown = -1;
  std::array<Nano, kMeters> each_;
};

// Rates by the length of the prompt. The tier of a request is that of its whole prompt.
struct Tiers {
  Rates base;
  struct Above {
    std::uint64_t tokens = 0;  // more than these
    Rates rates;
  };
  std::vector<Above> above;  // ascending
  const Rates& of(std::uint64_t prompt_tokens) const;
};

// A part of the day in which other rates hold. One that ends before it begins goes over midnight,
// and belongs to the day on which it began.
struct Window {
  std::shared_ptr<const Zone> zone;
  unsigned weekdays = 0x7f;                // bit 0 is Monday
  std::int32_t from_s = 0, to_s = 86'400;  // on the wall; `to` is not part of it
  std::vector<std::int64_t> except;        // days since 1970 that it does not begin on, ascending
  Tiers tiers;
  bool holds(std::int64_t unix_s) const;
};

// The price of one model, of one version of one list.
struct Tariff {
  static constexpr std::int64_t kAlways = INT64_MAX;
  struct Period {
    std::int64_t from_unix_s = INT64_MIN, to_unix_s = kAlways;  // `to` is not part of it
    Tiers tiers;
    std::vector<Window> windows;  // the first that holds counts
  };

  std::string currency = "USD";
  std::string version;  // "catalog/openai@1f2e3d4c5b6a", "retail#3"
  std::vector<Period> periods;
  // By service tier, and "batch": millionths that every price is taken times.
  std::vector<std::pair<std::string, std::uint64_t>> factors;

  // Null outside every period.
  const Period* period(std::uint64_t unix_ns) const;
  const Tiers* at(std::uint64_t unix_ns) const;
};

// What of a request decides its rates.
struct PriceContext {
  std::uint64_t unix_ns = 0;        // when it came
  std::uint64_t prompt_tokens = 0;  // all of them, cached ones too: the tier
  bool batch = false;
  // As the upstream said in its answer, or as it was asked for. Empty, "auto", "default",
  // "standard", "standard_only" and "on_demand" (Groq's) cost the price itself; any other is
  // unknown without a factor.
  std::string_view service_tier;
};

// A model at a configured provider.
struct Sold {
  std::string_view provider;  // id of the configured one
  std::string_view family;    // where the catalog knows it
  std::string_view model;     // upstream name
};

struct Line {
  Meter meter = Meter::kInput;
  std::uint64_t quantity = 0;
  Nano per_million = 0;
  Nano amount = 0;  // quantity * per_million / 1,000,000, rounded once, halves up
};

struct Lines {
  std::array<Line, kMeters> all;
  std::size_t count = 0;
  const Line* begin() const { return all.data(); }
  const Line* end() const { return all.data() + count; }
  std::size_t size() const { return count; }
};

struct Rated {
  std::string_view currency;  // lives as long as the book
  std::string version;        // of the price; a marked-up one's ends in "*1.2"
  Nano total = 0;             // the sum of the lines
  Lines lines;                // of what was used
};

// The most that something can come to, for a hold.
struct Bound {
  std::string_view currency;  // lives as long as the book
  Nano amount = 0;            // the largest Nano where it would not fit
};

class Catalog;

// What a price list of the operator's says of one model.
struct ListedPrice {
  std::string provider;  // id of a configured provider; empty: any
  std::string model;     // upstream name; in a sale list the name that is asked for counts first
  std::shared_ptr<const Tariff> tariff;
};

// All prices in force, immutable. [any thread]
//
// Purchase: the operator's price for this provider and model, else the operator's for this model
// anywhere, else the catalog's. Sale: the operator's for the name that the client asked for, else
// for the upstream's name, else the purchase price times the account's markup.
//
// A meter without a price makes the whole unknown as soon as there is a quantity of it. But where
// only another meter's price is known, the upstream bills by that one:
//   reasoning -> output          it is generated text like any other
//   cached input -> input        a list without it gives no discount
//   cache writes -> input        a list with neither has no charge for writing; one that has a
//                                price for one lifetime and not for the other stays unknown
//   cached sound -> sound        as cached input
//   pictures read -> input       a list without their tokens counts them as text
//   pictures made -> output      and here too
//   call -> nothing              a call costs only where a list says so
// And what is sold one way costs nothing the other, as long as there is some of what is paid for:
//   sound made, characters       speech is sold by its tokens or by what is spoken
//   pictures made, by token or by the piece
//   tokens of any kind           where a list has no price of tokens at all, but one of characters,
//                                pictures, seconds or calls
class PriceBook {
 public:
  PriceBook() = default;
  PriceBook(const Catalog& catalog, std::vector<ListedPrice> purchase,
            std::vector<ListedPrice> sale);

  // Nothing: unknown.
  std::optional<Rated> rate(const Sold& sold, const Quantities& quantities,
                            const PriceContext& context) const;
  // markup_ppm: millionths that the purchase price is raised by, or lowered where below 0; a price
  // of the sale list has no markup.
  std::optional<Rated> rate_sale(std::string_view asked, const Sold& sold, std::int64_t markup_ppm,
                                 const Quantities& quantities, const PriceContext& context) const;

  // For upper bounds of the quantities, and of the prompt in the context: every tier up to it is
  // possible, any token of kInput may turn out to be a picture's or to be written to a cache, and
  // any of kOutput to be reasoning. Sound is bounded by itself.
  std::optional<Bound> worst_case(const Sold& sold, const Quantities& most,
                                  const PriceContext& context) const;
  std::optional<Bound> worst_sale(std::string_view asked, const Sold& sold, std::int64_t markup_ppm,
                                  const Quantities& most, const PriceContext& context) const;

  // Of these, the meters for which worst_sale() finds no price; none where there is no tariff, or
  // not now, or not for the service tier.
  std::vector<Meter> unpriced(std::string_view asked, const Sold& sold, const Quantities& most,
                              const PriceContext& context) const;

  // The tariffs themselves, for people; null where there is none.
  const Tariff* purchase(const Sold& sold) const;
  const Tariff* sale(std::string_view asked, const Sold& sold) const;  // of the sale list alone

 private:
  struct KeyView {
    std::string_view place, model;
  };
  struct Key {
    std::string place, model;
    operator KeyView() const { return {place, model}; }
  };
  struct KeyHash {
    using is_transparent = void;
    std::size_t operator()(const KeyView& key) const;
  };
  struct KeyEqual {
    using is_transparent = void;
    bool operator()(const KeyView& a, const KeyView& b) const {
      return a.place == b.place && a.model == b.model;
    }
  };
  using Tariffs = std::unordered_map<Key, std::shared_ptr<const Tariff>, KeyHash, KeyEqual>;
  static const Tariff* find(const Tariffs& tariffs, std::string_view place, std::string_view model);
  static void add(Tariffs& tariffs, std::vector<ListedPrice> listed);

  Tariffs catalog_;          // by family
  Tariffs purchase_, sale_;  // by provider's id, or "" for any
};

}  // namespace switchyard::catalog
