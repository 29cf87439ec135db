#include "core/admin/audit.hpp"

#include <iostream>

#include "core/base/json_object.hpp"
#include "core/base/utc.hpp"
#include "core/cli/arguments.hpp"
#include "core/cli/command.hpp"
#include "core/cli/state_directory.hpp"
#include "core/cli/terminal.hpp"
#include "core/store/store.hpp"

namespace switchyard::cli {
namespace fs = std::filesystem;
namespace {

constexpr char kUsage[] =
    "usage: switchyard audit list [--limit N] [--after SEQ] [--object ID]\n"
    "                       [--state DIR | --config FILE] [--json]\n"
    "the newest changes first; --after goes on behind one that was listed\n";

std::optional<std::uint64_t> number_of(const Arguments& args, const char* name,
                                       std::uint64_t otherwise) {
  if (!args.has(name)) return otherwise;
  const std::string text = args.value(name);
  if (text.size() > 18 || text.find_first_not_of("0123456789") != std::string::npos) {
    return std::nullopt;
  }
  return std::stoull(text);
}

Result<std::vector<store::AuditRow>> read_rows(const Arguments& args,
                                               const store::AuditLog::Query& query) {
  const auto directory = state_directory(args);
  if (!directory) return directory.error();
  std::error_code ignored;
  if (!fs::exists(*directory, ignored)) {
    return Error{directory->string() +
                 ": there is no state directory; --state or --config says where it is"};
  }
  const auto database = store::open_database(*directory);
  if (!database) return database.error();
  return store::AuditLog(**database).list(query);
}

void tell_rows(const std::vector<store::AuditRow>& rows, std::ostream& out) {
  std::vector<std::vector<std::string>> lines{
      {"SEQ", "AT", "CALLER", "FROM", "CHANGE", "OBJECT", "RESULT"}};
  for (const store::AuditRow& row : rows) {
    std::string result = row.status ? std::to_string(*row.status) : "unfinished";
    if (!row.code.empty()) result += " " + row.code;
    lines.push_back({std::to_string(row.seq), utc_text(row.begin.unix_ms / 1000), row.begin.caller,
                     row.begin.peer, row.begin.method + " " + row.begin.route,
                     row.begin.object.empty() ? row.object : row.begin.object, result});
  }
  print_table(lines, out);
}

}  // namespace

int run_audit(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  const auto parsed = parse_arguments(
      args, {"--limit", "--after", "--object", "--state", "--config"}, {"--json", "--help"});
  if (!parsed) return misuse({out, err}, parsed.error().message, kUsage);
  if (parsed->has("--help")) {
    out << kUsage;
    return 0;
  }
  if (parsed->words != std::vector<std::string>{"list"})
    return misuse({out, err}, "audit: list", kUsage);
  if (parsed->has("--state") && parsed->has("--config")) {
    return misuse({out, err}, "--state and --config both say where the state is; give one", kUsage);
  }
  const auto limit = number_of(*parsed, "--limit", 100);
  const auto after = number_of(*parsed, "--after", 0);
  if (!limit || *limit == 0 || !after)
    return misuse({out, err}, "--limit, --after: expected a number", kUsage);
  store::AuditLog::Query query;
  query.limit = *limit;
  query.before = *after;
  query.object = parsed->value("--object");
  const auto rows = read_rows(*parsed, query);
  if (!rows) return fail({out, err}, rows.error().message);
  if (parsed->has("--json")) {
    out << json_array(*rows, admin::audit_json) << '\n';
  } else {
    tell_rows(*rows, out);
  }
  return 0;
}

int run_audit(std::span<const std::string> args) { return run_audit(args, std::cout, std::cerr); }

}  // namespace switchyard::cli
