#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <iostream>
#include <vector>

#include "core/base/percent.hpp"
#include "core/cli/admin_client.hpp"
#include "core/cli/arguments.hpp"
#include "core/cli/command.hpp"
#include "core/cli/state_directory.hpp"
#include "core/cli/terminal.hpp"

namespace switchyard::cli {
namespace {

using Words = std::span<const std::string>;
using Json = rapidjson::Value;

constexpr char kRecordUsage[] =
    "usage: switchyard record list [FILTER ...] [--limit N] [--after PLACE] [--csv]\n"
    "       switchyard record show ID\n"
    "       switchyard record bodies ID      what it said, where its key has that kept\n"
    "filters: --from TIME --to TIME (such as 2026-11-21 or 2026-11-21T13:00:00Z)\n"
    "         --account A --key ID --feature F --model M --model-asked M --provider P --task T\n"
    "         --status 502 --final-status upstream_error --failed\n"
    "         --error-code CODE --error WORDS --cost-min 0.1 --cost-max 5 --currency USD\n"
    "         --latency-min-ms N --latency-max-ms N\n"
    "each with [--state DIR | --config FILE] [--ca-file FILE] [--json]\n";

constexpr char kUsageUsage[] =
    "usage: switchyard usage [--by model,account] [--step minute|hour|day] [--latency] [--csv]\n"
    "                        [--from TIME] [--to TIME] (left out: the last 30 days)\n"
    "                        [--account A] [--key ID] [--feature F] [--model M] [--provider P]\n"
    "by: account, key, feature, model and provider, with commas between them\n"
    "with [--state DIR | --config FILE] [--ca-file FILE] [--json]\n";

// What the API's query takes as it is given here.
const std::vector<std::string> kRecordMembers{"--from",           "--to",
                                              "--account",        "--key",
                                              "--feature",        "--model",
                                              "--model-asked",    "--provider",
                                              "--task",           "--status",
                                              "--final-status",   "--failed",
                                              "--error-code",     "--error",
                                              "--cost-min",       "--cost-max",
                                              "--currency",       "--latency-min-ms",
                                              "--latency-max-ms", "--limit",
                                              "--after"};
const std::vector<std::string> kUsageMembers{"--from",     "--to",     "--step",    "--by",
                                             "--account",  "--key",    "--feature", "--model",
                                             "--provider", "--latency"};

// ---- asking ----

// "?model_asked=fast&..." of "--model-asked fast ...".
std::string query_of(const Arguments& args, const std::vector<std::string>& members) {
  std::string query;
  for (const std::string& option : members) {
    if (!args.has(option)) continue;
    std::string name = option.substr(2);
    std::replace(name.begin(), name.end(), '-', '_');
    const std::string value = args.value(option);
    query += (query.empty() ? '?' : '&') + name + '=' +
             (value.empty() ? "true" : percent_encoded(value));
  }
  return query;
}

Result<AdminAnswer> ask(const Arguments& args, const std::string& path) {
  const auto directory = state_directory(args);
  if (!directory) return directory.error();
  const auto client = AdminClient::open(*directory, args.value("--ca-file"));
  if (!client) return client.error();
  return client->get(path);
}

Result<rapidjson::Document> parse(const AdminAnswer& answer) {
  rapidjson::Document document;
  document.Parse(answer.body.data(), answer.body.size());
  if (document.HasParseError() || !document.IsObject()) {
    return Error{"the gateway's answer is not the JSON object that was expected"};
  }
  return document;
}

// ---- telling ----

// One value for a cell: amounts with their currencies, lists with "; " between.
std::string cell_of(const Json& value) {
  if (value.IsNull()) return "";
  if (value.IsString()) return {value.GetString(), value.GetStringLength()};
  if (value.IsArray()) {
    std::string all;
    for (const Json& each : value.GetArray()) all += (all.empty() ? "" : "; ") + cell_of(each);
    return all;
  }
  if (value.IsObject() && value.HasMember("amount") && value.HasMember("currency")) {
    return cell_of(value["amount"]) + ' ' + cell_of(value["currency"]);
  }
  rapidjson::StringBuffer text;
  rapidjson::Writer<rapidjson::StringBuffer> writer(text);
  value.Accept(writer);
  return text.GetString();
}

// "usage/input_tokens" names a member of a member.
std::string cell_of(const Json& row, const std::string& path) {
  const Json* at = &row;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string name = path.substr(begin, end - begin);
    if (!at->IsObject() || !at->HasMember(name)) return "";
    at = &(*at)[name];
    begin = end + 1;
  }
  return cell_of(*at);
}

struct Column {
  const char* title;
  std::string path;
};

void tell_table(const std::vector<Column>& columns, const Json& rows, std::ostream& out) {
  std::vector<std::vector<std::string>> lines(1);
  for (const Column& column : columns) lines[0].push_back(column.title);
  for (const Json& row : rows.GetArray()) {
    auto& line = lines.emplace_back();
    for (const Column& column : columns) line.push_back(cell_of(row, column.path));
  }
  print_table(lines, out);
}

// RFC 4180. A cell that a spreadsheet would take for a formula begins with a quote.
std::string csv_cell(std::string text) {
  const bool number = text.find_first_not_of("-.0123456789") == std::string::npos;
  if (!text.empty() && !number && std::string_view("=+-@\t\r").find(text[0]) != std::string::npos) {
    text.insert(0, 1, '\'');
  }
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

void tell_csv(const std::vector<Column>& columns, const Json& rows, std::ostream& out) {
  const auto tell = [&](const auto& cell) {
    for (std::size_t i = 0; i < columns.size(); ++i)
      out << (i == 0 ? "" : ",") << csv_cell(cell(columns[i]));
    out << "\r\n";
  };
  tell([](const Column& column) { return column.path; });
  for (const Json& row : rows.GetArray()) {
    tell([&row](const Column& column) { return cell_of(row, column.path); });
  }
}

const std::vector<Column> kRecordTable{{"TIME", "time"},
                                       {"ID", "id"},
                                       {"ACCOUNT", "account"},
                                       {"MODEL", "model"},
                                       {"PROVIDER", "provider"},
                                       {"STATUS", "status"},
                                       {"END", "final_status"},
                                       {"MS", "latency_ms"},
                                       {"IN", "usage/input_tokens"},
                                       {"OUT", "usage/output_tokens"},
                                       {"CHARGE", "charge"},
                                       {"COST", "cost"},
                                       {"ERROR", "error_code"}};

const std::vector<Column> kRecordCsv{{"", "time"},
                                     {"", "id"},
                                     {"", "key"},
                                     {"", "account"},
                                     {"", "feature"},
                                     {"", "task"},
                                     {"", "surface"},
                                     {"", "model_asked"},
                                     {"", "model"},
                                     {"", "provider"},
                                     {"", "stream"},
                                     {"", "status"},
                                     {"", "final_status"},
                                     {"", "attempts"},
                                     {"", "latency_ms"},
                                     {"", "ttft_ms"},
                                     {"", "upstream_ms"},
                                     {"", "usage/input_tokens"},
                                     {"", "usage/output_tokens"},
                                     {"", "usage/cached_tokens"},
                                     {"", "usage/reasoning_tokens"},
                                     {"", "usage/estimated"},
                                     {"", "charge/amount"},
                                     {"", "charge/currency"},
                                     {"", "cost/amount"},
                                     {"", "cost/currency"},
                                     {"", "price_version"},
                                     {"", "error_code"},
                                     {"", "error"},
                                     {"", "finish_reason"},
                                     {"", "fallback_path"},
                                     {"", "route_reason"},
                                     {"", "dropped"},
                                     {"", "trace"}};

std::vector<Column> usage_columns(const Arguments& args, bool csv) {
  std::vector<Column> columns{{"START", "start"}};
  const std::string by = args.value("--by");
  for (const auto& [title, name] :
       std::vector<std::pair<const char*, std::string>>{{"ACCOUNT", "account"},
                                                        {"KEY", "key"},
                                                        {"FEATURE", "feature"},
                                                        {"MODEL", "model"},
                                                        {"PROVIDER", "provider"}}) {
    if ((',' + by + ',').find(',' + name + ',') != std::string::npos)
      columns.push_back({title, name});
  }
  const std::vector<Column> sums{
      {"REQUESTS", "requests"}, {"ERRORS", "errors"},        {"IN", "input_tokens"},
      {"OUT", "output_tokens"}, {"CACHED", "cached_tokens"}, {"CHARGE", "charge"},
      {"COST", "cost"},         {"UNPRICED", "unpriced"},    {"AVG_MS", "latency_avg_ms"}};
  columns.insert(columns.end(), sums.begin(), sums.end());
  if (args.has("--latency")) {
    columns.push_back({"P50_MS", "latency/p50_ms"});
    columns.push_back({"P95_MS", "latency/p95_ms"});
  }
  if (csv) {
    for (const char* more : {"clients_left", "reasoning_tokens", "estimated", "ttft_avg_ms"}) {
      columns.push_back({"", more});
    }
  }
  return columns;
}

void tell_pretty(const Json& object, std::ostream& out) {
  for (const auto& member : object.GetObject()) {
    const std::string text = printable(cell_of(member.value));
    if (text.empty()) continue;
    const std::string name = member.name.GetString();
    out << name << std::string(name.size() < 14 ? 16 - name.size() : 2, ' ') << text << '\n';
  }
}

// ---- the commands ----

struct Asked {
  Arguments args;
  AdminAnswer answer;
  rapidjson::Document document;
};

// The answer where it is to be told as a table; else the command's status.
Result<Asked, int> ask_and_check(Arguments args, const std::string& path, const Streams& streams) {
  auto answer = ask(args, path);
  if (!answer) return fail(streams, answer.error().message);
  if (args.has("--json")) {
    streams.out << answer->body << '\n';
    return answer->status == 200 ? 0 : 1;
  }
  if (answer->status != 200) return fail(streams, error_message(*answer));
  auto document = parse(*answer);
  if (!document) return fail(streams, document.error().message);
  return Asked{std::move(args), std::move(*answer), std::move(*document)};
}

int list_records(Arguments args, const Streams& streams) {
  const std::string path = "/admin/v1/records" + query_of(args, kRecordMembers);
  auto asked = ask_and_check(std::move(args), path, streams);
  if (!asked) return asked.error();
  const Json& rows = asked->document["data"];
  if (asked->args.has("--csv")) {
    tell_csv(kRecordCsv, rows, streams.out);
  } else {
    tell_table(kRecordTable, rows, streams.out);
  }
  const Json& next = asked->document["next"];
  if (next.IsString()) streams.err << "more with: --after " << next.GetString() << '\n';
  if (asked->document.HasMember("unreadable_days")) {
    streams.err << "damaged, and left out: " << cell_of(asked->document["unreadable_days"]) << '\n';
  }
  return 0;
}

int show_record(Arguments args, const char* part, const Streams& streams) {
  const std::string path = "/admin/v1/records/" + percent_encoded(args.words[1]) + part;
  auto asked = ask_and_check(std::move(args), path, streams);
  if (!asked) return asked.error();
  tell_pretty(asked->document, streams.out);
  return 0;
}

Result<Arguments> parse_with(Words words, const std::vector<std::string>& members) {
  const std::vector<std::string> yes_or_no{"--failed", "--latency"};
  std::vector<std::string> flags{"--json", "--csv", "--help"};
  std::vector<std::string> options{"--state", "--config", "--ca-file"};
  for (const std::string& member : members) {
    const bool flag = std::count(yes_or_no.begin(), yes_or_no.end(), member) > 0;
    (flag ? flags : options).push_back(member);
  }
  auto args = parse_arguments(words, options, flags);
  if (args && args->has("--state") && args->has("--config")) {
    return Error{"--state and --config both say where the state is; give one"};
  }
  if (args && args->has("--json") && args->has("--csv")) return Error{"give --json or --csv"};
  return args;
}

}  // namespace

int run_record(Words words, std::ostream& out, std::ostream& err) {
  const Streams streams{out, err};
  auto args = parse_with(words, kRecordMembers);
  if (!args) return misuse(streams, args.error().message, kRecordUsage);
  if (args->has("--help")) {
    out << kRecordUsage;
    return 0;
  }
  const std::string verb = args->words.empty() ? "" : args->words[0];
  if (verb != "list" && args->has("--csv")) {
    return misuse(streams, "--csv goes with record list", kRecordUsage);
  }
  if (verb == "list" && args->words.size() == 1) return list_records(std::move(*args), streams);
  if (args->words.size() == 2 && (verb == "show" || verb == "bodies")) {
    return show_record(std::move(*args), verb == "bodies" ? "/bodies" : "", streams);
  }
  return misuse(streams, "record: list, show ID or bodies ID?", kRecordUsage);
}

int run_usage(Words words, std::ostream& out, std::ostream& err) {
  const Streams streams{out, err};
  auto args = parse_with(words, kUsageMembers);
  if (!args) return misuse(streams, args.error().message, kUsageUsage);
  if (args->has("--help")) {
    out << kUsageUsage;
    return 0;
  }
  if (!args->words.empty()) return misuse(streams, "usage takes options alone", kUsageUsage);
  const std::string path = "/admin/v1/usage" + query_of(*args, kUsageMembers);
  auto asked = ask_and_check(std::move(*args), path, streams);
  if (!asked) return asked.error();
  const Json& rows = asked->document["data"];
  const bool csv = asked->args.has("--csv");
  const auto columns = usage_columns(asked->args, csv);
  csv ? tell_csv(columns, rows, out) : tell_table(columns, rows, out);
  return 0;
}

int run_record(Words args) { return run_record(args, std::cout, std::cerr); }
int run_usage(Words args) { return run_usage(args, std::cout, std::cerr); }

}  // namespace switchyard::cli
