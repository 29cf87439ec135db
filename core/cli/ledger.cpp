#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <optional>

#include "core/account/verify.hpp"
#include "core/base/nano.hpp"
#include "core/base/utc.hpp"
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
constexpr std::uint64_t kPage = 1000;
constexpr char kUsage[] =
    "usage: switchyard ledger verify [--json]\n"
    "       switchyard ledger balance [ACCOUNT] [--json]\n"
    "       switchyard ledger export [--from TIME] [--to TIME] [--format csv|json]\n"
    "each with [--state DIR | --config FILE]; a TIME is 2026-11-21 or 2026-11-21T19:30:00Z\n";

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
  const Streams streams{out, err};
  const auto parsed = parse_arguments(args, {"--from", "--to", "--format", "--state", "--config"},
                                      {"--json", "--help"});
  if (!parsed) return misuse(streams, parsed.error().message, kUsage);
  if (parsed->has("--help")) {
    out << kUsage;
    return 0;
  }
  if (parsed->words.empty()) return misuse(streams, "ledger: verify, balance or export?", kUsage);
  if (parsed->has("--state") && parsed->has("--config")) {
    return misuse(streams, "--state and --config both say where the state is; give one", kUsage);
  }
  const std::string& verb = parsed->words[0];
  const bool exporting = verb == "export";
  if (!exporting && (parsed->has("--from") || parsed->has("--to") || parsed->has("--format"))) {
    return misuse(streams, "--from, --to and --format go with ledger export", kUsage);
  }
  if (exporting) return export_entries(*parsed, streams);
  if (verb == "verify") return verify(*parsed, streams);
  if (verb == "balance") return balance(*parsed, streams);
  return misuse(streams, "ledger: there is no \"" + verb + "\"", kUsage);
}

int run_ledger(std::span<const std::string> args) { return run_ledger(args, std::cout, std::cerr); }

}  // namespace switchyard::cli
