#include <unistd.h>

#include <iostream>

#include "core/admin/tokens.hpp"
#include "core/base/clock.hpp"
#include "core/base/json_object.hpp"
#include "core/base/utc.hpp"
#include "core/cli/arguments.hpp"
#include "core/cli/command.hpp"
#include "core/cli/state_directory.hpp"
#include "core/cli/terminal.hpp"
#include "core/store/audit.hpp"
#include "core/store/store.hpp"

namespace switchyard::cli {
namespace fs = std::filesystem;
namespace {

constexpr char kUsage[] =
    "usage: switchyard token create --name NAME --role viewer|operator|owner\n"
    "                        [--account ID] [--expires 2030-01-31T00:00:00Z]\n"
    "       switchyard token list\n"
    "       switchyard token disable ID\n"
    "each with [--state DIR | --config FILE] [--json]\n";

constexpr std::uint64_t kPage = 1000;

// Who may open the state directory is its owner: no token is asked for, and each change is audited.
struct Opened {
  std::unique_ptr<store::Database> database;
  account::Pepper pepper;
  store::Tokens tokens{*database};

  Result<std::int64_t> note(const char* verb, const std::string& object) {
    store::AuditBegin entry;
    entry.unix_ms = unix_ns() / 1'000'000u;
    entry.caller = "user " + std::to_string(getuid());
    entry.caller_id = "cli";
    entry.role = "owner";
    entry.peer = "local";
    entry.method = "CLI";
    entry.route = std::string("token ") + verb;
    entry.object = object;
    return store::AuditLog(*database).begin(entry);
  }
  Result<void> note_end(std::int64_t seq, bool ok, const std::string& object) {
    return store::AuditLog(*database).end(seq, ok ? 200 : 500, object, ok ? "" : "failed");
  }
};

// Looking must not make a state directory.
Result<std::unique_ptr<Opened>> open_present(const Arguments& args) {
  const auto directory = state_directory(args);
  if (!directory) return directory.error();
  std::error_code ignored;
  if (!fs::exists(*directory, ignored)) {
    return Error{directory->string() +
                 ": there is no state directory; --state or --config says where it is"};
  }
  const auto state = store::open_state(*directory);
  if (!state) return state.error();
  auto database = store::open_database(*directory);
  if (!database) return database.error();
  return std::unique_ptr<Opened>(
      new Opened{std::move(*database), account::Pepper(Secret(state->pepper))});
}

void tell_created(const admin::MintedToken& minted, bool as_json, std::ostream& out) {
  if (as_json) {
    std::string json = admin::token_json(minted.row);
    json.pop_back();
    out << json << ",\"token\":" << json_text(minted.token.reveal()) << "}\n";
    return;
  }
  out << "The token " << minted.row.id << " (" << minted.row.name << ") is of a " << minted.row.role
      << (minted.row.account.empty() ? "" : " of the account " + minted.row.account)
      << ". It is shown this once and kept nowhere:\n\n  " << minted.token.reveal()
      << "\n\nThe admin API takes it as \"Authorization: Bearer TOKEN\".\n";
}

int create(const Arguments& args, const Streams& streams) {
  admin::NewToken asked;
  asked.name = args.value("--name");
  asked.account = args.value("--account");
  asked.created_by = "cli";
  if (args.words.size() != 1) return misuse(streams, "token create takes no further words", kUsage);
  if (!admin::is_token_name(asked.name)) {
    return misuse(streams, "--name: expected 1 to 64 characters of A-Z, a-z, 0-9, . _ and -",
                  kUsage);
  }
  const auto role = admin::parse_role(args.value("--role"));
  if (!role) return misuse(streams, "--role: expected viewer, operator or owner", kUsage);
  asked.role = *role;
  if (args.has("--expires")) {
    const auto at = parse_utc(args.value("--expires"));
    if (!at || *at <= admin::now_unix_s()) {
      return misuse(streams, "--expires: expected a time to come, like 2030-01-31T00:00:00Z",
                    kUsage);
    }
    asked.expires_unix_s = *at;
  }
  auto opened = open_present(args);
  if (!opened) return fail(streams, opened.error().message);
  const auto seq = (*opened)->note("create", "");
  if (!seq) return fail(streams, seq.error().message);
  const auto minted =
      admin::mint_token((*opened)->tokens, (*opened)->pepper, asked, admin::now_unix_s());
  const auto ended =
      (*opened)->note_end(*seq, minted.has_value(), minted ? minted->row.id : std::string());
  if (!minted) return fail(streams, minted.error().message);
  if (!ended) streams.err << ended.error().message << '\n';
  tell_created(*minted, args.has("--json"), streams.out);
  return 0;
}

Result<std::vector<store::TokenRow>> all_tokens(store::Tokens& tokens) {
  std::vector<store::TokenRow> all;
  while (true) {
    auto page = tokens.list(all.empty() ? "" : all.back().id, kPage);
    if (!page) return page.error();
    for (store::TokenRow& row : *page) all.push_back(std::move(row));
    if (page->size() < kPage) return all;
  }
}

std::string state_of(const store::TokenRow& row) {
  if (row.disabled_unix_s != 0) return "disabled " + utc_text(row.disabled_unix_s);
  if (row.expires_unix_s == 0) return "enabled";
  return (row.expires_unix_s <= admin::now_unix_s() ? "expired " : "until ") +
         utc_text(row.expires_unix_s);
}

int list(const Arguments& args, const Streams& streams) {
  if (args.words.size() != 1) return misuse(streams, "token list takes no further words", kUsage);
  auto opened = open_present(args);
  if (!opened) return fail(streams, opened.error().message);
  const auto rows = all_tokens((*opened)->tokens);
  if (!rows) return fail(streams, rows.error().message);
  if (args.has("--json")) {
    streams.out << json_array(*rows, admin::token_json) << '\n';
    return 0;
  }
  if (rows->empty()) {
    streams.out << "no tokens beside admin.token; make one with: switchyard token create\n";
    return 0;
  }
  std::vector<std::vector<std::string>> lines{
      {"ID", "NAME", "ROLE", "ACCOUNT", "CREATED", "STATE"}};
  for (const store::TokenRow& row : *rows) {
    lines.push_back({row.id, row.name, row.role, row.account.empty() ? "every" : row.account,
                     utc_text(row.created_unix_s), state_of(row)});
  }
  print_table(lines, streams.out);
  return 0;
}

int disable(const Arguments& args, const Streams& streams) {
  if (args.words.size() != 2)
    return misuse(streams, "token disable takes the id of one token", kUsage);
  const std::string& id = args.words[1];
  auto opened = open_present(args);
  if (!opened) return fail(streams, opened.error().message);
  const auto seq = (*opened)->note("disable", id);
  if (!seq) return fail(streams, seq.error().message);
  const auto found = (*opened)->tokens.disable(id, admin::now_unix_s());
  const auto ended = (*opened)->note_end(*seq, found && *found, id);
  if (!found) return fail(streams, found.error().message);
  if (!ended) streams.err << ended.error().message << '\n';
  if (!*found) {
    return fail(streams, "there is no token " + id + "; `switchyard token list` shows them");
  }
  if (args.has("--json")) {
    streams.out << JsonObject().text("id", id).boolean("disabled", true).take() << '\n';
  } else {
    streams.out << id << " is disabled; a running gateway refuses it from now on\n";
  }
  return 0;
}

}  // namespace

int run_token(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  const Streams streams{out, err};
  const auto parsed =
      parse_arguments(args, {"--name", "--role", "--account", "--expires", "--state", "--config"},
                      {"--json", "--help"});
  if (!parsed) return misuse(streams, parsed.error().message, kUsage);
  if (parsed->has("--help")) {
    out << kUsage;
    return 0;
  }
  if (parsed->words.empty()) return misuse(streams, "token: create, list or disable?", kUsage);
  if (parsed->has("--state") && parsed->has("--config")) {
    return misuse(streams, "--state and --config both say where the state is; give one", kUsage);
  }
  const std::string& verb = parsed->words[0];
  if (verb == "create") return create(*parsed, streams);
  for (const char* option : {"--name", "--role", "--account", "--expires"}) {
    if (parsed->has(option))
      return misuse(streams, std::string(option) + " goes with token create", kUsage);
  }
  if (verb == "list") return list(*parsed, streams);
  if (verb == "disable") return disable(*parsed, streams);
  return misuse(streams, "token: there is no \"" + verb + "\"", kUsage);
}

int run_token(std::span<const std::string> args) { return run_token(args, std::cout, std::cerr); }

}  // namespace switchyard::cli
