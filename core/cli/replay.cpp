#include <rapidjson/document.h>
#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <set>

#include "core/base/clock.hpp"
#include "core/base/nano.hpp"
#include "core/base/utc.hpp"
#include "core/catalog/price_list.hpp"
#include "core/cli/arguments.hpp"
#include "core/cli/command.hpp"
#include "core/cli/state_directory.hpp"
#include "core/cli/terminal.hpp"
#include "core/config/json_text.hpp"
#include "core/observe/log.hpp"
#include "core/routing/forecast.hpp"
#include "core/store/record_search.hpp"
#include "core/worker/plugin_uses.hpp"

namespace switchyard::cli {
namespace fs = std::filesystem;
namespace {

using Writer = rapidjson::PrettyWriter<rapidjson::StringBuffer>;

constexpr char kUsage[] =
    "usage: switchyard replay RECORDS --config FILE [--plugins DIR] [--alias NAME] [--json]\n"
    "\n"
    "Makes the choices of recorded requests again with the strategies and candidates of FILE, and\n"
    "tells how shares, cost, latency and failures would have shifted.\n"
    "RECORDS  a day's file or the directory of them (STATE/records), or JSON with records that\n"
    "         have their plans: one, a list, {\"data\": [...]}, or one a line\n"
    "DIR      strategies in other builds than those that FILE would load\n";

struct Reading {
  std::map<std::string, routing::Replay> aliases;
  std::uint64_t requests = 0, damaged = 0;
};

// Plans are kept of each request that failed, and of one in so many others.
std::string kind_of(const std::string& final_status) {
  return final_status == "ok" || final_status == "client_left" ? "ok" : "failed";
}

// What a route goes by: a feature may have been asked for by a header, or be the key's own.
std::string name_of(const std::string& asked, const std::string& feature) {
  return feature.empty() ? asked : std::string(config::kFeaturePrefix) + feature;
}

// Only what was asked for by an alias has strategies; its plan says by which.
void take(Reading& reading, const store::RecordRow& row) {
  ++reading.requests;
  routing::Replay& replay = reading.aliases[name_of(row.model_asked, row.feature)];
  const std::string kind = kind_of(row.final_status);
  replay.count(kind, {.begun_ns = row.start_ns,
                      .duration_us = row.duration_us,
                      .served_by = routing::candidate_id(row.provider, row.model_used)});
  if (row.plan.empty()) return;
  auto decision = routing::Decision::parse(row.plan);
  if (decision) {
    replay.add(kind, std::move(*decision), row.start_ns);
  } else {
    ++reading.damaged;
  }
}

std::string text_member(const config::Json& json, const char* name) {
  const config::Json* const found = config::member(json, name);
  return found != nullptr && found->IsString() ? std::string(config::text_of(*found))
                                               : std::string();
}

void take_json(Reading& reading, const config::Json& json) {
  const config::Json* const data = config::member(json, "data");
  const config::Json& all = data != nullptr ? *data : json;
  if (all.IsArray()) {
    for (const config::Json& each : all.GetArray()) take_json(reading, each);
    return;
  }
  if (!all.IsObject()) return;
  const config::Json* const plan = config::member(all, "plan");
  const config::Json* const ms = config::member(all, "latency_ms");
  store::RecordRow row;
  row.start_ns = parse_utc_ns(text_member(all, "time")).value_or(0);
  if (ms != nullptr && ms->IsNumber() && ms->GetDouble() >= 0 && ms->GetDouble() < 1e12) {
    row.duration_us = static_cast<std::uint64_t>(ms->GetDouble() * 1000);
  }
  row.model_asked = text_member(all, "model_asked");
  row.model_used = text_member(all, "model_used");
  row.provider = text_member(all, "provider");
  row.feature = text_member(all, "feature");
  row.final_status = text_member(all, "final_status");
  if (plan != nullptr && plan->IsObject()) row.plan = config::to_json(*plan);
  take(reading, row);
}

Result<void> read_json(const fs::path& file, Reading& reading) {
  constexpr std::size_t kBytesMax = 1024u * 1024 * 1024;
  const auto text = config::read_file(file, kBytesMax);
  if (!text) return text.error();
  rapidjson::StringStream stream(text->c_str());
  while (true) {
    while (std::isspace(static_cast<unsigned char>(stream.Peek())) != 0) stream.Take();
    if (stream.Peek() == '\0') return {};
    rapidjson::Document document;
    document.ParseStream<rapidjson::kParseStopWhenDoneFlag>(stream);
    if (document.HasParseError()) {
      return Error{"not JSON at byte " + std::to_string(document.GetErrorOffset())};
    }
    take_json(reading, document);
  }
}

Result<void> read_day(const fs::path& file, Reading& reading) {
  return store::each_plan(file, [&reading](const store::RecordRow& row) { take(reading, row); });
}

Result<void> read_records(const fs::path& path, Reading& reading) {
  std::error_code fault;
  if (!fs::exists(path, fault)) return Error{"there is no such file or directory"};
  if (!fs::is_directory(path, fault)) {
    return path.extension() == ".db" ? read_day(path, reading) : read_json(path, reading);
  }
  const auto days = store::record_days(path);
  if (days.empty()) return Error{"there are no records in this directory"};
  for (const std::string& day : days) {
    const auto read = read_day(store::record_file(path, day), reading);
    if (!read) return Error{day + ": " + read.error().message};
  }
  return {};
}

// ---- the other configuration ----

// Where the loader keeps its copies of plugins, for as long as this runs.
class CopiesDirectory {
 public:
  CopiesDirectory() {
    std::error_code fault;
    std::string made = (fs::temp_directory_path(fault) / "switchyard-replay-XXXXXX").string();
    if (!fault && ::mkdtemp(made.data()) != nullptr) path_ = made;
  }
  ~CopiesDirectory() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  CopiesDirectory(const CopiesDirectory&) = delete;
  CopiesDirectory& operator=(const CopiesDirectory&) = delete;
  const fs::path& path() const { return path_; }  // empty where none could be made

 private:
  fs::path path_;
};

struct Routes {
  std::shared_ptr<const config::Config> config;
  catalog::Catalog catalog;
  catalog::PricesInForce prices;
  CopiesDirectory copies;
  std::unique_ptr<plugin::Libraries> libraries;
  routing::Statistics statistics;
  routing::Pipelines pipelines;
};

plugin::LibraryOptions library_options(const config::Config& config, const Arguments& args,
                                       const fs::path& copies) {
  plugin::LibraryOptions options;
  options.directory =
      args.has("--plugins") ? fs::path(args.value("--plugins")) : plugin_directory(config);
  options.private_directory = copies;
  return options;
}

// Of aliases without strategies too: their order is the configuration's.
void add_plain(Routes& routes) {
  const auto add = [&routes](const config::Feature& feature) {
    auto& pipeline = routes.pipelines[feature.name];
    if (pipeline) return;
    pipeline = std::make_unique<routing::Pipeline>(*routes.config, feature, routes.catalog,
                                                   routes.statistics, routing::Strategies());
  };
  for (const config::Model& alias : routes.config->models) add(alias);
  for (const config::Feature& feature : routes.config->features) add(feature);
}

Result<void> open_routes(const Arguments& args, Routes& routes) {
  config::LoadOptions load;
  load.file = args.value("--config");
  auto loaded = config::load(load);
  if (!loaded) return Error{faults_of(load.file.string(), loaded.error())};
  routes.config = std::move(*loaded);
  auto catalog = catalog::Catalog::load(config::find_data_directory() / "models");
  if (!catalog) return catalog.error();
  routes.catalog = std::move(*catalog);
  auto prices = catalog::prices_in_force(routes.catalog, {});
  if (!prices) return prices.error();
  routes.prices = std::move(*prices);

  if (routes.copies.path().empty()) return Error{"no temporary directory can be made: see TMPDIR"};
  routes.libraries = std::make_unique<plugin::Libraries>(
      library_options(*routes.config, args, routes.copies.path()));
  for (const auto& refused : routes.libraries->load_all()) {
    return Error{refused.file.string() + ": " + refused.reason};
  }
  auto pipelines =
      routing::open_pipelines(*routes.libraries, *routes.config, routes.catalog, routes.statistics);
  if (!pipelines) return Error{faults_of(load.file.string(), pipelines.error())};
  routes.pipelines = std::move(*pipelines);
  add_plain(routes);
  return {};
}

// ---- telling ----

struct Told {
  std::string alias;
  std::size_t plans;
  routing::Forecast forecast;
};

std::string fixed(double value, int digits) {
  char text[64];
  return {text, static_cast<std::size_t>(std::snprintf(text, sizeof text, "%.*f", digits, value))};
}

std::string percent(double part, double whole) {
  return whole > 0 ? fixed(100 * part / whole, 1) + " %" : "-";
}

std::string shift(double before, double after) {
  if (before <= 0) return "";
  const std::string text = fixed(100 * (after - before) / before, 1) + " %";
  return after >= before ? "+" + text : text;
}

std::string milliseconds(double us) { return us > 0 ? fixed(us / 1000, 0) + " ms" : "-"; }

template <class Number>
std::vector<std::string> keys_of(const std::map<std::string, Number>& a,
                                 const std::map<std::string, Number>& b) {
  std::set<std::string> keys;
  for (const auto& [key, value] : a) keys.insert(key);
  for (const auto& [key, value] : b) keys.insert(key);
  return {keys.begin(), keys.end()};
}

void tell(const Told& told, std::ostream& out) {
  const routing::Outlook& before = told.forecast.before;
  const routing::Outlook& after = told.forecast.after;
  out << told.alias << ": " << fixed(before.requests, 0) << " requests, by " << told.plans
      << (told.plans == 1 ? " plan\n" : " plans\n");
  std::vector<std::vector<std::string>> lines{{"", "RECORDED", "REPLAYED", "SHIFT"}};
  for (const std::string& target : keys_of(before.served, after.served)) {
    const double a = before.share(target), b = after.share(target);
    lines.push_back({target, percent(a, 1), percent(b, 1),
                     (b >= a ? "+" : "") + fixed(100 * (b - a), 1) + " points"});
  }
  for (const std::string& currency : keys_of(before.cost, after.cost)) {
    const auto cost = [&currency](const routing::Outlook& side) {
      const auto found = side.cost.find(currency);
      return found == side.cost.end() ? Nano{0} : found->second;
    };
    lines.push_back({"cost", format_nano(cost(before)) + ' ' + currency,
                     format_nano(cost(after)) + ' ' + currency,
                     shift(static_cast<double>(cost(before)), static_cast<double>(cost(after)))});
  }
  if (before.unpriced > 0 || after.unpriced > 0) {
    lines.push_back({"without a price", percent(before.unpriced, before.requests),
                     percent(after.unpriced, after.requests), ""});
  }
  lines.push_back({"first token", milliseconds(before.ttft_us), milliseconds(after.ttft_us),
                   shift(before.ttft_us, after.ttft_us)});
  lines.push_back({"answer", milliseconds(before.latency_us), milliseconds(after.latency_us),
                   shift(before.latency_us, after.latency_us)});
  lines.push_back({"failed", percent(before.failed, before.requests),
                   percent(after.failed, after.requests), ""});
  lines.push_back({"calls per request", fixed(before.calls / before.requests, 2),
                   fixed(after.calls / after.requests, 2), ""});
  print_table(lines, out);
}

void put(Writer& json, const char* name, double value) {
  json.Key(name);
  json.Double(value);
}

// 0: nothing was measured.
void put_known(Writer& json, const char* name, double value) {
  if (value > 0) return put(json, name, value);
  json.Key(name);
  json.Null();
}

void put_side(Writer& json, const char* name, const routing::Outlook& side) {
  json.Key(name);
  json.StartObject();
  put(json, "requests", side.requests);
  json.Key("shares");
  json.StartObject();
  for (const auto& [target, served] : side.served) put(json, target.c_str(), side.share(target));
  json.EndObject();
  json.Key("cost");
  json.StartArray();
  for (const auto& [currency, nano] : side.cost) {
    json.StartObject();
    json.Key("amount");
    json.String(format_nano(nano));
    json.Key("currency");
    json.String(currency);
    json.EndObject();
  }
  json.EndArray();
  put(json, "unpriced", side.unpriced);
  put_known(json, "ttft_ms", side.ttft_us / 1000);
  put_known(json, "latency_ms", side.latency_us / 1000);
  put(json, "failed", side.failed);
  put(json, "calls", side.calls);
  json.EndObject();
}

void tell_json(const std::vector<Told>& all, std::ostream& out) {
  rapidjson::StringBuffer buffer;
  Writer json(buffer);
  json.StartArray();
  for (const Told& told : all) {
    json.StartObject();
    json.Key("alias");
    json.String(told.alias);
    json.Key("plans");
    json.Uint64(told.plans);
    put_side(json, "recorded", told.forecast.before);
    put_side(json, "replayed", told.forecast.after);
    json.EndObject();
  }
  json.EndArray();
  out << buffer.GetString() << '\n';
}

}  // namespace

int run_replay(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  const auto parsed =
      parse_arguments(args, {"--config", "--plugins", "--alias"}, {"--json", "--help"});
  if (parsed && parsed->has("--help")) {
    out << kUsage;
    return 0;
  }
  if (!parsed || parsed->words.size() != 1 || !parsed->has("--config")) {
    err << (parsed ? "replay takes RECORDS and --config" : parsed.error().message) << '\n'
        << kUsage;
    return 2;
  }
  const auto fail = [&err](const std::string& message) {
    err << message << '\n';
    return 1;
  };
  Reading reading;
  const std::string& records = parsed->words.front();
  const auto read = read_records(records, reading);
  if (!read) return fail(records + ": " + read.error().message);
  if (reading.damaged > 0) err << reading.damaged << " plans can't be read and are left out\n";
  Routes routes;
  const auto opened = open_routes(*parsed, routes);
  if (!opened) return fail(opened.error().message);

  const routing::Pricing pricing{&routes.prices, unix_ns()};
  std::vector<Told> all;
  for (const auto& [alias, replay] : reading.aliases) {
    const auto pipeline = routes.pipelines.find(alias);
    const bool wanted = !parsed->has("--alias") || parsed->value("--alias") == alias;
    if (!wanted || replay.plans() == 0 || pipeline == routes.pipelines.end()) continue;
    all.push_back({alias, replay.plans(), replay.run(*pipeline->second, pricing)});
  }
  if (all.empty()) {
    return fail("none of " + std::to_string(reading.requests) +
                " records has a plan of an alias of this configuration; records.plans_one_in says "
                "of how many requests plans are kept");
  }
  if (parsed->has("--json")) {
    tell_json(all, out);
    return 0;
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i > 0) out << '\n';
    tell(all[i], out);
  }
  return 0;
}

int run_replay(std::span<const std::string> args) {
  // What loading plugins has to say is no part of the output.
  const auto started = observe::init_log("warn");
  if (!started) std::cerr << started.error().message << '\n';
  return run_replay(args, std::cout, std::cerr);
}

}  // namespace switchyard::cli
