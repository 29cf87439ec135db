#include <iostream>

#include "core/base/utc.hpp"
#include "core/cli/command.hpp"
#include "core/cli/registry_command.hpp"

namespace switchyard::cli {
namespace {

using account::Registry;

constexpr char kUsage[] =
    "usage: switchyard key create --name NAME [--account ID] [SCOPES] [LIMITS]\n"
    "       switchyard key list [--account ID]\n"
    "       switchyard key show ID\n"
    "       switchyard key set ID [--name NAME] [SCOPES] [LIMITS]\n"
    "       switchyard key rotate ID [--grace 24h]\n"
    "       switchyard key disable ID | enable ID | delete ID\n"
    "each with [--state DIR | --config FILE] [--json]\n"
    "SCOPES: --models A,B --endpoints A,B --features A,B --ip-ranges A,B   ('*': any)\n"
    "        --providers A,B --providers-denied A,B --regions A,B\n"
    "        --expires TIME|30d|never --default-feature NAME|none --body-bytes-max N\n"
    "        --may-explain yes|no --stores-bodies yes|no --metadata JSON\n"
    "LIMITS: --rpm N --tpm N --concurrency N --requests-per-day N --tokens-per-day N\n"
    "        --requests-per-month N --tokens-per-month N   (0: none)\n"
    "        --priority low|normal|high\n";

const std::vector<Option> kScopes = {
    {"--name", "name", Kind::kText},
    {"--models", "models", Kind::kList},
    {"--endpoints", "endpoints", Kind::kList},
    {"--features", "features", Kind::kList},
    {"--ip-ranges", "ip_ranges", Kind::kList},
    {"--providers", "providers", Kind::kList},
    {"--providers-denied", "providers_denied", Kind::kList},
    {"--regions", "regions", Kind::kList},
    {"--default-feature", "default_feature", Kind::kTextOrNone},
    {"--may-explain", "may_explain", Kind::kFlag},
    {"--stores-bodies", "stores_bodies", Kind::kFlag},
    {"--body-bytes-max", "body_bytes_max", Kind::kNumber},
    {"--expires", "expires", Kind::kTime},
    {"--metadata", "metadata", Kind::kJson},
    {"--priority", "priority", Kind::kText},
};
const Option kAccount = {"--account", "account", Kind::kText};

int bad_call(const Streams& streams, const std::string& message) {
  return misuse(streams, message, kUsage);
}

int refused(const Streams& streams, const account::Refusal& refusal) {
  if (refusal.code == "key_not_found") {
    std::string message = refusal.message;
    message.pop_back();
    return fail(streams, "t" + message.substr(1) + "; `switchyard key list` shows them");
  }
  return refusal.status == 400 ? bad_call(streams, refusal.message)
                               : fail(streams, refusal.message);
}

void tell_minted(const account::MintedKey& minted, bool as_json, std::ostream& out) {
  if (as_json) return print_json(account::to_json(minted, now_unix_s()), out);
  const store::KeyRow& row = minted.row;
  out << "The key " << row.id << " (" << row.name << ") may use "
      << (row.models.empty() ? "every model" : joined(row.models))
      << ". It is shown this once and kept nowhere:\n\n  " << minted.key.reveal()
      << "\n\nClients send it as \"Authorization: Bearer KEY\"; the SDKs of OpenAI take it as the "
         "API key.\n";
}

void tell(const store::KeyRow& row, bool as_json, std::ostream& out) {
  const std::string json = account::to_json(row, now_unix_s());
  if (as_json) {
    print_json(json, out);
  } else {
    print_members(json, out);
  }
}

std::vector<Option> creating_options() {
  std::vector<Option> options = kScopes;
  options.push_back(kAccount);
  return options;
}

int check_new(const Arguments& args, const Streams& streams) {
  const auto fields = fields_of(args, creating_options());
  if (!fields) return bad_call(streams, fields.error().message);
  const auto row = account::read_key(*fields);
  return row ? 0 : refused(streams, row.error());
}

int create(Registry& registry, const Arguments& args, const Streams& streams) {
  const auto fields = fields_of(args, creating_options());
  if (!fields) return bad_call(streams, fields.error().message);
  const auto minted = registry.create_key({}, *fields, now_unix_s());
  if (!minted) return refused(streams, minted.error());
  tell_minted(*minted, args.has("--json"), streams.out);
  return 0;
}

int set(Registry& registry, const Arguments& args, const Streams& streams) {
  const auto fields = fields_of(args, kScopes);
  if (!fields) return bad_call(streams, fields.error().message);
  const auto row = registry.change_key({}, args.words[1], *fields);
  if (!row) return refused(streams, row.error());
  tell(*row, args.has("--json"), streams.out);
  return 0;
}

std::string state_text(const store::KeyRow& row) {
  const std::uint64_t now = now_unix_s();
  const std::string state(account::state_of(row, now));
  if (row.deleted_unix_s != 0) return state + ' ' + utc_text(row.deleted_unix_s);
  if (row.disabled_unix_s != 0) return state + ' ' + utc_text(row.disabled_unix_s);
  if (row.expires_unix_s != 0) {
    return (row.expires_unix_s > now ? "enabled until " : "expired ") +
           utc_text(row.expires_unix_s);
  }
  return state;
}

int list(Registry& registry, const Arguments& args, const Streams& streams) {
  store::AccountPage page;
  page.limit = 1000;
  page.within = args.value("--account");
  std::vector<std::string> objects;
  std::vector<std::vector<std::string>> lines{
      {"ID", "NAME", "ACCOUNT", "CREATED", "STATE", "MODELS"}};
  while (true) {
    const auto rows = registry.keys({}, page);
    if (!rows) return refused(streams, rows.error());
    for (const store::KeyRow& row : *rows) {
      objects.push_back(account::to_json(row, now_unix_s()));
      lines.push_back({row.id, row.name, row.account, utc_text(row.created_unix_s), state_text(row),
                       row.models.empty() ? "every" : joined(row.models)});
    }
    if (rows->size() < page.limit) break;
    page.after = rows->back().id;
  }
  if (args.has("--json")) {
    print_json(objects, streams.out);
  } else if (objects.empty()) {
    streams.out << "no keys; make one with: switchyard key create --name NAME\n";
  } else {
    print_table(lines, streams.out);
  }
  return 0;
}

int show(Registry& registry, const Arguments& args, const Streams& streams) {
  const auto row = registry.key({}, args.words[1]);
  if (!row) return refused(streams, row.error());
  tell(*row, args.has("--json"), streams.out);
  return 0;
}

int rotate(Registry& registry, const Arguments& args, const Streams& streams) {
  std::uint64_t grace_s = 0;
  if (args.has("--grace")) {
    const auto grace = parse_age(args.value("--grace"));
    if (!grace) return bad_call(streams, "--grace: " + grace.error().message);
    grace_s = *grace;
  }
  const auto minted = registry.rotate_key({}, args.words[1], grace_s, now_unix_s());
  if (!minted) return refused(streams, minted.error());
  tell_minted(*minted, args.has("--json"), streams.out);
  if (args.has("--json")) return 0;
  if (grace_s == 0) {
    streams.out << "The one before is good no more.\n";
  } else {
    streams.out << "The one before is good until " << utc_text(now_unix_s() + grace_s) << ".\n";
  }
  return 0;
}

int change(Registry& registry, const Arguments& args, const Streams& streams) {
  const std::string& verb = args.words[0];
  const auto wanted = verb == "enable"    ? Registry::KeyChange::kEnable
                      : verb == "disable" ? Registry::KeyChange::kDisable
                                          : Registry::KeyChange::kDelete;
  const auto row = registry.set_key({}, args.words[1], wanted, now_unix_s());
  if (!row) return refused(streams, row.error());
  if (args.has("--json")) {
    tell(*row, true, streams.out);
  } else {
    streams.out << row->id << " is " << verb << "d\n";
  }
  return 0;
}

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> all = {
      {"create", create, false, with_limit_options(option_names(creating_options())), check_new},
      {"list", list, false, {kAccount.option}},
      {"show", show, true, {}},
      {"set", set, true, with_limit_options(option_names(kScopes))},
      {"rotate", rotate, true, {"--grace"}},
      {"disable", change, true, {}},
      {"enable", change, true, {}},
      {"delete", change, true, {}},
  };
  return all;
}

}  // namespace

int run_key(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  return run_verb("key", kUsage, verbs(), args, {out, err});
}

int run_key(std::span<const std::string> args) { return run_key(args, std::cout, std::cerr); }

}  // namespace switchyard::cli
