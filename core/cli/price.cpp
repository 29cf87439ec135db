#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <iostream>

#include "core/base/clock.hpp"
#include "core/catalog/catalog.hpp"
#include "core/catalog/price_list.hpp"
#include "core/cli/arguments.hpp"
#include "core/cli/command.hpp"
#include "core/cli/state_directory.hpp"
#include "core/cli/terminal.hpp"
#include "core/config/json_text.hpp"
#include "core/store/prices.hpp"
#include "core/store/store.hpp"

namespace switchyard::cli {
namespace fs = std::filesystem;
namespace {

using Json = rapidjson::PrettyWriter<rapidjson::StringBuffer>;

constexpr char kUsage[] =
    "usage: switchyard price import FILE\n"
    "       switchyard price list\n"
    "       switchyard price show MODEL\n"
    "       switchyard price history NAME\n"
    "each with [--state DIR | --config FILE] [--json]\n"
    "\n"
    "FILE is a list of purchase prices, of sale prices, or of rates of exchange, in JSON.\n"
    "A gateway that runs has taken it over when the command returns.\n";

std::string utc(std::uint64_t unix_s) {
  const auto seconds = static_cast<std::time_t>(unix_s);
  std::tm broken{};
  char text[32];
  if (gmtime_r(&seconds, &broken) == nullptr) return "?";
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &broken)};
}

void put(Json& json, const char* name, const std::string& value) {
  json.Key(name);
  json.String(value);
}

void put_row(Json& json, const store::PriceListRow& row) {
  json.StartObject();
  put(json, "name", row.name);
  put(json, "book", row.book);
  json.Key("version");
  json.Int64(row.version);
  put(json, "created", utc(row.created_unix_s));
  put(json, "created_by", row.created_by);
  json.EndObject();
}

void tell_rows(const std::vector<store::PriceListRow>& rows, const Arguments& args,
               std::ostream& out) {
  if (args.has("--json")) {
    rapidjson::StringBuffer buffer;
    Json json(buffer);
    json.StartArray();
    for (const store::PriceListRow& row : rows) put_row(json, row);
    json.EndArray();
    out << buffer.GetString() << '\n';
    return;
  }
  std::vector<std::vector<std::string>> lines{{"NAME", "BOOK", "VERSION", "CREATED", "BY"}};
  for (const store::PriceListRow& row : rows) {
    lines.push_back(
        {row.name, row.book, std::to_string(row.version), utc(row.created_unix_s), row.created_by});
  }
  print_table(lines, out);
}

using Opened = std::unique_ptr<store::Database>;

// Looking must not make a state directory; an import makes one, as a key does.
Result<Opened> open_prices(const Arguments& args, bool make) {
  const auto directory = state_directory(args);
  if (!directory) return directory.error();
  std::error_code ignored;
  if (!make && !fs::exists(*directory, ignored)) {
    return Error{directory->string() +
                 ": there is no state directory; --state or --config says where it is"};
  }
  const auto state = store::open_state(*directory);
  if (!state) return state.error();
  return store::open_database(*directory);
}

// ---- import, list, history ----

int import_list(const Arguments& args, const Streams& streams) {
  const std::string& file = args.words[1];
  const auto text = config::read_file(file, catalog::kPriceListBytesMax);
  if (!text) return fail(streams, text.error().message);
  const auto list = catalog::read_price_list(*text, 0);
  if (!list) return fail(streams, faults_of(file, list.error()));
  const auto directory = state_directory(args);
  if (!directory) return fail(streams, directory.error().message);
  const auto database = open_prices(args, true);
  if (!database) return fail(streams, database.error().message);

  store::PriceListRow row;
  row.book = list->book;
  row.name = list->name;
  row.body = *text;
  row.created_unix_s = unix_ns() / 1'000'000'000u;
  row.created_by = "cli";
  store::Prices prices(**database);
  const auto before = prices.version();
  const auto added = prices.add(row);
  if (!added) return fail(streams, added.error().message);
  await_gateway(*directory, streams.err);
  if (args.has("--json")) {
    rapidjson::StringBuffer buffer;
    Json json(buffer);
    put_row(json, *added);
    streams.out << buffer.GetString() << '\n';
  } else if (before && *before >= added->seq) {
    streams.out << added->name << '#' << added->version << " says the same and stays in force.\n";
  } else {
    streams.out << added->name << '#' << added->version << " is in force.\n";
  }
  return 0;
}

int list_all(const Arguments& args, const Streams& streams) {
  const auto database = open_prices(args, false);
  if (!database) return fail(streams, database.error().message);
  const auto rows = store::Prices(**database).in_force();
  if (!rows) return fail(streams, rows.error().message);
  if (rows->empty() && !args.has("--json")) {
    streams.out << "no price lists: the catalog's list prices are in force; "
                   "add one with: switchyard price import FILE\n";
    return 0;
  }
  tell_rows(*rows, args, streams.out);
  return 0;
}

int show_history(const Arguments& args, const Streams& streams) {
  const auto database = open_prices(args, false);
  if (!database) return fail(streams, database.error().message);
  const auto rows = store::Prices(**database).history(args.words[1], 0, INT64_MAX);
  if (!rows) return fail(streams, rows.error().message);
  if (rows->empty()) {
    return fail(streams, "there is no price list \"" + args.words[1] +
                             "\"; `switchyard price list` names "
                             "those that there are");
  }
  tell_rows(*rows, args, streams.out);
  return 0;
}

// ---- show ----

// One price as people read it.
struct Shown {
  std::string book, place, version, currency, when, meter, price;
};

std::string at_time(std::int64_t unix_s) {
  return utc(static_cast<std::uint64_t>(std::max<std::int64_t>(unix_s, 0)));
}

std::string when_of(const catalog::Tariff::Period& period, const catalog::Window* window,
                    std::uint64_t above) {
  std::string when;
  const auto add = [&when](const std::string& text) { when += (when.empty() ? "" : ", ") + text; };
  if (period.from_unix_s != INT64_MIN) add("from " + at_time(period.from_unix_s));
  if (period.to_unix_s != catalog::Tariff::kAlways) add("until " + at_time(period.to_unix_s));
  if (window != nullptr) {
    char hours[64];
    std::snprintf(hours, sizeof hours, "%02d:%02d-%02d:%02d", window->from_s / 3600,
                  window->from_s / 60 % 60, window->to_s / 3600, window->to_s / 60 % 60);
    std::string days;
    constexpr std::array<const char*, 7> kDays{"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    for (unsigned i = 0; window->weekdays != 0x7f && i < kDays.size(); ++i) {
      if ((window->weekdays >> i & 1u) != 0) days += std::string(" ") + kDays[i];
    }
    add(hours + std::string(" ") + window->zone->name() + days +
        (window->except.empty() ? "" : " but holidays"));
  }
  if (above != 0) add("prompts above " + std::to_string(above) + " tokens");
  return when;
}

void add_rates(std::vector<Shown>& shown, Shown line, const catalog::Rates& rates) {
  for (std::size_t i = 0; i < catalog::kMeters; ++i) {
    const auto meter = static_cast<catalog::Meter>(i);
    const auto rate = rates.find(meter);
    if (!rate) continue;
    const bool by_million = catalog::is_by_million(meter);
    line.meter = catalog::to_string(meter);
    line.price = by_million ? format_nano(*rate) + " per million"
                            : format_nano(*scale_nano(*rate, 1, 1'000'000)) + " each";
    shown.push_back(line);
  }
}

void add_tiers(std::vector<Shown>& shown, const Shown& line, const catalog::Tariff::Period& period,
               const catalog::Window* window) {
  const catalog::Tiers& tiers = window == nullptr ? period.tiers : window->tiers;
  Shown base = line;
  base.when = when_of(period, window, 0);
  add_rates(shown, base, tiers.base);
  for (const auto& tier : tiers.above) {
    base.when = when_of(period, window, tier.tokens);
    add_rates(shown, base, tier.rates);
  }
}

void add_tariff(std::vector<Shown>& shown, const std::string& book, const std::string& place,
                const catalog::Tariff& tariff) {
  const Shown line{book, place, tariff.version, tariff.currency, "", "", ""};
  for (const auto& period : tariff.periods) {
    add_tiers(shown, line, period, nullptr);
    for (const auto& window : period.windows) add_tiers(shown, line, period, &window);
  }
  for (const auto& [name, millionths] : tariff.factors) {
    Shown factor = line;
    factor.meter = name;
    factor.price = "all times " + format_nano(static_cast<Nano>(millionths) * 1000);
    shown.push_back(std::move(factor));
  }
}

Result<std::vector<Shown>> prices_of(const std::string& model,
                                     const std::vector<store::PriceListRow>& lists) {
  std::vector<Shown> shown;
  const auto catalog = catalog::Catalog::load(config::find_data_directory() / "models");
  if (!catalog) return catalog.error();
  for (const catalog::Model& each : catalog->models()) {
    if (each.name == model && each.tariff) {
      add_tariff(shown, "purchase", each.provider + " (catalog)", *each.tariff);
    }
  }
  for (const store::PriceListRow& row : lists) {
    const auto list = catalog::read_price_list(row.body, row.version);
    if (!list) return Error{faults_of(row.name, list.error())};
    for (const catalog::ListedPrice& each : list->prices) {
      if (each.model != model) continue;
      add_tariff(shown, row.book, each.provider.empty() ? "any" : each.provider, *each.tariff);
    }
  }
  return shown;
}

int show(const Arguments& args, const Streams& streams) {
  const auto database = open_prices(args, false);
  if (!database) return fail(streams, database.error().message);
  const auto lists = store::Prices(**database).in_force();
  if (!lists) return fail(streams, lists.error().message);
  const std::string& model = args.words[1];
  const auto shown = prices_of(model, *lists);
  if (!shown) return fail(streams, shown.error().message);
  if (shown->empty()) {
    return fail(streams, "no price is known of \"" + model +
                             "\": its cost is unknown, and prepaid accounts can't use it; import "
                             "one with: switchyard price import FILE");
  }
  if (args.has("--json")) {
    rapidjson::StringBuffer buffer;
    Json json(buffer);
    json.StartArray();
    for (const Shown& line : *shown) {
      json.StartObject();
      put(json, "book", line.book);
      put(json, "provider", line.place);
      put(json, "version", line.version);
      put(json, "currency", line.currency);
      put(json, "when", line.when);
      put(json, "meter", line.meter);
      put(json, "price", line.price);
      json.EndObject();
    }
    json.EndArray();
    streams.out << buffer.GetString() << '\n';
    return 0;
  }
  std::vector<std::vector<std::string>> lines{
      {"BOOK", "PROVIDER", "METER", "PRICE", "CURRENCY", "VERSION", "WHEN"}};
  for (const Shown& line : *shown) {
    lines.push_back(
        {line.book, line.place, line.meter, line.price, line.currency, line.version, line.when});
  }
  print_table(lines, streams.out);
  return 0;
}

struct Verb {
  const char* name;
  std::size_t words;  // with its own
  int (*run)(const Arguments&, const Streams&);
};

constexpr Verb kVerbs[] = {{"import", 2, import_list},
                           {"list", 1, list_all},
                           {"show", 2, show},
                           {"history", 2, show_history}};

}  // namespace

int run_price(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  const Streams streams{out, err};
  const auto parsed = parse_arguments(args, {"--state", "--config"}, {"--json", "--help"});
  if (!parsed) return misuse(streams, parsed.error().message, kUsage);
  if (parsed->has("--help")) {
    out << kUsage;
    return 0;
  }
  if (parsed->has("--state") && parsed->has("--config")) {
    return misuse(streams, "--state and --config both say where the state is; give one", kUsage);
  }
  if (parsed->words.empty())
    return misuse(streams, "price: import, list, show or history?", kUsage);
  for (const Verb& verb : kVerbs) {
    if (parsed->words[0] != verb.name) continue;
    if (parsed->words.size() == verb.words) return verb.run(*parsed, streams);
    return misuse(streams,
                  "price " + parsed->words[0] +
                      (verb.words == 1 ? " takes no further words" : ": expected one word"),
                  kUsage);
  }
  return misuse(streams, "price: there is no \"" + parsed->words[0] + "\"", kUsage);
}

int run_price(std::span<const std::string> args) { return run_price(args, std::cout, std::cerr); }

}  // namespace switchyard::cli
