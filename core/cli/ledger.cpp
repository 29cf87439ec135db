#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <map>
#include <optional>
#include <span>

#include "core/account/reconciliation.hpp"
#include "core/account/verify.hpp"
#include "core/base/clock.hpp"
#include "core/base/nano.hpp"
#include "core/base/utc.hpp"
#include "core/cli/admin_verbs.hpp"
#include "core/cli/arguments.hpp"
#include "core/cli/command.hpp"
#include "core/cli/state_directory.hpp"
#include "core/cli/terminal.hpp"
#include "core/store/books.hpp"
#include "core/store/store.hpp"

namespace switchyard::cli {
namespace fs = std::filesystem;
namespace {

using Json = rapidjson::Writer<rapidjson::StringBuffer>;

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kSecondsPerDay = 86'400;
constexpr std::uint64_t kPage = 1000;
constexpr char kUsage[] =
    "usage: switchyard ledger verify [--json]\n"
    "       switchyard ledger balance [ACCOUNT] [--json]\n"
    "       switchyard ledger reconcile [--from DAY] [--to DAY] [--provider NAME] [--model NAME] "
    "[--json]\n"
    "       switchyard ledger export [--from TIME] [--to TIME] [--format csv|json]\n"
    "       switchyard ledger correct --account ID --amount=-1.5 --reason TEXT [--json]\n"
    "each with [--state DIR | --config FILE]; a TIME is 2026-11-21 or 2026-11-21T19:30:00Z\n";

// Money that moves is the running gateway's to move.
const ApiNoun kCorrections{
    "ledger",
    kUsage,
    {{"correct",
      "POST",
      "/admin/v1/ledger/corrections",
      {{"--account", "account"}, {"--amount", "amount"}, {"--reason", "reason"}},
      {}}}};

// Of a directory that has to be there: looking must not make one.
Result<fs::path> present_state(const Arguments& args) {
  auto directory = state_directory(args);
  if (!directory) return directory;
  std::error_code ignored;
  if (fs::exists(*directory / "switchyard.db", ignored)) return directory;
  return Error{directory->string() +
               ": no gateway ever ran with this state; --state or --config says where it is"};
}

void put(Json& json, const char* name, const std::string& text) {
  json.Key(name);
  json.String(text);
}

// ---- verify ----

int verify(const Arguments& args, const Streams& streams) {
  if (args.words.size() != 1)
    return misuse(streams, "ledger verify takes no further words", kUsage);
  const auto state = present_state(args);
  if (!state) return fail(streams, state.error().message);
  const auto violations = account::verify_ledger(*state);
  if (!violations) return fail(streams, violations.error().message);
  if (args.has("--json")) {
    rapidjson::StringBuffer text;
    Json json(text);
    json.StartObject();
    json.Key("proven");
    json.Bool(violations->empty());
    json.Key("violations");
    json.StartArray();
    for (const std::string& each : *violations) json.String(each);
    json.EndArray();
    json.EndObject();
    streams.out << text.GetString() << '\n';
  } else if (violations->empty()) {
    streams.out << "the books are proven: every transaction balances, every balance is the sum of "
                   "its entries, every receipt is booked\n";
  } else {
    for (const std::string& each : *violations) streams.out << each << '\n';
  }
  return violations->empty() ? 0 : 1;
}

// ---- balance ----

void tell(const std::vector<store::Balance>& balances, bool as_json, std::ostream& out) {
  if (as_json) {
    rapidjson::StringBuffer text;
    Json json(text);
    json.StartArray();
    for (const store::Balance& each : balances) {
      json.StartObject();
      put(json, "account", each.account);
      put(json, "currency", each.currency);
      put(json, "balance", format_nano(each.amount));
      json.EndObject();
    }
    json.EndArray();
    out << text.GetString() << '\n';
    return;
  }
  std::vector<std::array<std::string, 3>> lines{{"ACCOUNT", "BALANCE", "CURRENCY"}};
  for (const store::Balance& each : balances) {
    lines.push_back({each.account, format_nano(each.amount), each.currency});
  }
  std::size_t name = 0, amount = 0;
  for (const auto& line : lines) {
    name = std::max(name, line[0].size());
    amount = std::max(amount, line[1].size());
  }
  for (const auto& line : lines) {
    out << line[0] << std::string(name - line[0].size() + 2, ' ')
        << std::string(amount - line[1].size(), ' ') << line[1] << "  " << line[2] << '\n';
  }
}

// "acc_1" is the customer's account; "house:revenue" and "provider:openai" are the ledger's own.
std::string ledger_name(const std::string& account) {
  const bool is_own = account.starts_with("house:") || account.starts_with("provider:") ||
                      account.starts_with("account:");
  return is_own ? account : store::account_name(account);
}

int balance(const Arguments& args, const Streams& streams) {
  if (args.words.size() > 2)
    return misuse(streams, "ledger balance takes at most one account", kUsage);
  const auto state = present_state(args);
  if (!state) return fail(streams, state.error().message);
  const auto database = store::open_database(*state);
  if (!database) return fail(streams, database.error().message);
  store::Books books(**database);
  const std::string name = args.words.size() == 2 ? ledger_name(args.words[1]) : "";
  const auto balances = name.empty() ? books.balances("") : books.balances_of(name);
  if (!balances) return fail(streams, balances.error().message);
  if (!name.empty() && balances->empty()) {
    return fail(streams, "no money of " + name +
                             " ever moved; `switchyard ledger balance` shows all that did");
  }
  tell(*balances, args.has("--json"), streams.out);
  return 0;
}

// ---- reconcile ----

std::string amounts(const std::map<std::string, Nano>& of) {
  std::string text;
  for (const auto& [currency, amount] : of) {
    text += (text.empty() ? "" : " + ") + format_nano(amount) + " " + currency;
  }
  return text.empty() ? "-" : text;
}

std::uint64_t sum_of(const account::ReconciledPart& part, std::span<const catalog::Meter> meters) {
  std::uint64_t sum = 0;
  for (const catalog::Meter meter : meters) sum += part.quantities[static_cast<std::size_t>(meter)];
  return sum;
}

void tell(const std::vector<account::ReconciledLine>& lines, std::ostream& out) {
  using catalog::Meter;
  static constexpr Meter kIn[] = {Meter::kInput,        Meter::kCachedInput, Meter::kCacheWrite5m,
                                  Meter::kCacheWrite1h, Meter::kAudioIn,     Meter::kCachedAudioIn,
                                  Meter::kImageIn};
  static constexpr Meter kOut[] = {Meter::kOutput, Meter::kReasoning, Meter::kAudioOut,
                                   Meter::kImageOut};
  constexpr std::size_t kColumns = 10;
  std::vector<std::array<std::string, kColumns>> table{
      {"DAY", "PROVIDER", "MODEL", "USAGE", "REQUESTS", "ATTEMPTS", "IN", "OUT", "COST", "BILLED"}};
  for (const account::ReconciledLine& line : lines) {
    std::map<std::string, Nano> billed;
    for (const auto& [currency, each] : line.billed) billed[currency] = each.charge;
    for (const auto& [usage, part] :
         {std::pair{"reported", &line.reported}, std::pair{"estimated", &line.estimated}}) {
      if (part->requests + part->attempts == 0) continue;
      table.push_back({utc_text(line.day * kSecondsPerDay).substr(0, 10), line.provider, line.model,
                       usage, std::to_string(part->requests), std::to_string(part->attempts),
                       std::to_string(sum_of(*part, kIn)), std::to_string(sum_of(*part, kOut)),
                       amounts(part->cost), amounts(billed)});
      billed.clear();  // is of both, and said once
    }
  }
  std::array<std::size_t, kColumns> widths{};
  for (const auto& row : table) {
    for (std::size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : table) {
    for (std::size_t i = 0; i + 1 < kColumns; ++i) {
      out << row[i] << std::string(widths[i] - row[i].size() + 2, ' ');
    }
    out << row.back() << '\n';
  }
}

int reconcile(const Arguments& args, const Streams& streams) {
  if (args.words.size() != 1)
    return misuse(streams, "ledger reconcile takes no further words", kUsage);
  std::uint64_t to = unix_ns() / kSecond / kSecondsPerDay;
  std::optional<std::uint64_t> from;
  for (const char* option : {"--from", "--to"}) {
    if (!args.has(option)) continue;
    const auto seconds = parse_utc(args.value(option) + "T00:00:00Z");
    if (!seconds) {
      return misuse(
          streams,
          std::string(option) + ": " + args.value(option) + ": expected a day such as 2026-11-21",
          kUsage);
    }
    (option == std::string_view("--to") ? to : from.emplace()) = *seconds / kSecondsPerDay;
  }
  const auto state = present_state(args);
  if (!state) return fail(streams, state.error().message);
  const auto database = store::open_database(*state);
  if (!database) return fail(streams, database.error().message);
  const auto lines = account::reconcile(**database, from.value_or(to), to,
                                        args.has("--provider") ? args.value("--provider") : "",
                                        args.has("--model") ? args.value("--model") : "");
  if (!lines) return fail(streams, lines.error().message);
  if (args.has("--json")) {
    std::string text = "[";
    for (const account::ReconciledLine& line : *lines) {
      text += (text.size() > 1 ? ",\n" : "\n") + account::to_json(line);
    }
    streams.out << text << "\n]\n";
  } else {
    tell(*lines, streams.out);
  }
  return 0;
}

// ---- export ----

std::optional<std::uint64_t> time_of(const std::string& text) {
  const auto seconds = parse_utc(text.size() == 10 ? text + "T00:00:00Z" : text);
  if (!seconds || *seconds > INT64_MAX / kSecond) return std::nullopt;
  return *seconds * kSecond;
}

// RFC 4180.
std::string csv(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

void write_csv(const store::EntryRow& row, std::ostream& out) {
  out << row.seq << ',' << utc_text(row.at_unix_ns / kSecond) << ',' << csv(row.transaction) << ','
      << csv(row.kind) << ',' << csv(row.note) << ',' << csv(row.account) << ','
      << csv(row.currency) << ',' << format_nano(row.amount) << "\r\n";
}

void write_json(const store::EntryRow& row, std::ostream& out) {
  rapidjson::StringBuffer text;
  Json json(text);
  json.StartObject();
  json.Key("seq");
  json.Int64(row.seq);
  put(json, "time", utc_text(row.at_unix_ns / kSecond));
  put(json, "transaction", row.transaction);
  put(json, "kind", row.kind);
  put(json, "note", row.note);
  put(json, "account", row.account);
  put(json, "currency", row.currency);
  put(json, "amount", format_nano(row.amount));
  json.EndObject();
  out << text.GetString();
}

Result<void> write_entries(store::Books& books, store::EntryFilter filter, bool as_json,
                           std::ostream& out) {
  out << (as_json ? "[" : "seq,time,transaction,kind,note,account,currency,amount\r\n");
  filter.max = kPage;
  bool first = true;
  while (true) {
    const auto rows = books.entries(filter);
    if (!rows) return rows.error();
    for (const store::EntryRow& row : *rows) {
      if (as_json) out << (first ? "\n" : ",\n");
      as_json ? write_json(row, out) : write_csv(row, out);
      first = false;
      filter.after = row.seq;
    }
    if (rows->size() < kPage) break;
  }
  if (as_json) out << "\n]\n";
  return {};
}

int export_entries(const Arguments& args, const Streams& streams) {
  if (args.words.size() != 1)
    return misuse(streams, "ledger export takes no further words", kUsage);
  const std::string format = args.has("--format") ? args.value("--format") : "csv";
  if (format != "csv" && format != "json") return misuse(streams, "--format: csv or json", kUsage);
  store::EntryFilter filter;
  for (const auto& [option, time] :
       {std::pair{"--from", &filter.from_unix_ns}, std::pair{"--to", &filter.to_unix_ns}}) {
    if (!args.has(option)) continue;
    const auto read = time_of(args.value(option));
    if (!read) {
      return misuse(streams,
                    std::string(option) + ": " + args.value(option) +
                        ": expected 2026-11-21 or 2026-11-21T19:30:00Z",
                    kUsage);
    }
    *time = *read;
  }
  const auto state = present_state(args);
  if (!state) return fail(streams, state.error().message);
  const auto database = store::open_database(*state);
  if (!database) return fail(streams, database.error().message);
  store::Books books(**database);
  const auto written = write_entries(books, filter, format == "json", streams.out);
  return written ? 0 : fail(streams, written.error().message);
}

}  // namespace

int run_ledger(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  if (!args.empty() && args[0] == "correct") return run_noun(kCorrections, args, out, err);
  const Streams streams{out, err};
  const auto parsed = parse_arguments(
      args, {"--from", "--to", "--format", "--provider", "--model", "--state", "--config"},
      {"--json", "--help"});
  if (!parsed) return misuse(streams, parsed.error().message, kUsage);
  if (parsed->has("--help")) {
    out << kUsage;
    return 0;
  }
  if (parsed->words.empty())
    return misuse(streams, "ledger: verify, balance, reconcile, export or correct?", kUsage);
  if (parsed->has("--state") && parsed->has("--config")) {
    return misuse(streams, "--state and --config both say where the state is; give one", kUsage);
  }
  const std::string& verb = parsed->words[0];
  const bool exporting = verb == "export";
  const bool reconciling = verb == "reconcile";
  if (!exporting && parsed->has("--format")) {
    return misuse(streams, "--format goes with ledger export", kUsage);
  }
  if (!exporting && !reconciling && (parsed->has("--from") || parsed->has("--to"))) {
    return misuse(streams, "--from and --to go with ledger export and ledger reconcile", kUsage);
  }
  if (!reconciling && (parsed->has("--provider") || parsed->has("--model"))) {
    return misuse(streams, "--provider and --model go with ledger reconcile", kUsage);
  }
  if (exporting) return export_entries(*parsed, streams);
  if (reconciling) return reconcile(*parsed, streams);
  if (verb == "verify") return verify(*parsed, streams);
  if (verb == "balance") return balance(*parsed, streams);
  return misuse(streams, "ledger: there is no \"" + verb + "\"", kUsage);
}

int run_ledger(std::span<const std::string> args) { return run_ledger(args, std::cout, std::cerr); }

}  // namespace switchyard::cli
