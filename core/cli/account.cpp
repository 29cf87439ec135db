#include <iostream>

#include "core/base/nano.hpp"
#include "core/cli/command.hpp"
#include "core/cli/registry_command.hpp"

namespace switchyard::cli {
namespace {

using account::Registry;

constexpr char kUsage[] =
    "usage: switchyard account create --name NAME [--parent ID] [--currency USD] [SETTINGS]\n"
    "       switchyard account list [--below ID]\n"
    "       switchyard account show ID\n"
    "       switchyard account set ID [--name NAME] [SETTINGS]\n"
    "       switchyard account disable ID | enable ID\n"
    "each with [--state DIR | --config FILE] [--json]\n"
    "SETTINGS: --mode unmetered|prepaid|postpaid --credit-limit AMOUNT --payer self|parent\n"
    "          --markup-ppm N --zone Europe/Berlin --metadata JSON\n"
    "          --rpm N --tpm N --concurrency N --requests-per-day N --tokens-per-day N\n"
    "          --requests-per-month N --tokens-per-month N   (0: none)\n";

const std::vector<Option> kSettings = {
    {"--name", "name", Kind::kText},
    {"--payer", "payer", Kind::kText},
    {"--mode", "mode", Kind::kText},
    {"--credit-limit", "credit_limit", Kind::kText},
    {"--markup-ppm", "markup_ppm", Kind::kNumber},
    {"--zone", "zone", Kind::kText},
    {"--metadata", "metadata", Kind::kJson},
};

std::vector<Option> creating_options() {
  std::vector<Option> options = kSettings;
  options.push_back({"--parent", "parent", Kind::kText});
  options.push_back({"--currency", "currency", Kind::kText});
  return options;
}

int bad_call(const Streams& streams, const std::string& message) {
  return misuse(streams, message, kUsage);
}

int refused(const Streams& streams, const account::Refusal& refusal) {
  return refusal.status == 400 ? bad_call(streams, refusal.message)
                               : fail(streams, refusal.message);
}

int tell(const account::Done<store::AccountRow>& row, const Arguments& args,
         const Streams& streams) {
  if (!row) return refused(streams, row.error());
  const std::string json = account::to_json(*row);
  if (args.has("--json")) {
    print_json(json, streams.out);
  } else {
    print_members(json, streams.out);
  }
  return 0;
}

int check_new(const Arguments& args, const Streams& streams) {
  const auto fields = fields_of(args, creating_options());
  if (!fields) return bad_call(streams, fields.error().message);
  const auto row = account::read_account(*fields);
  return row ? 0 : refused(streams, row.error());
}

int create(Registry& registry, const Arguments& args, const Streams& streams) {
  const auto fields = fields_of(args, creating_options());
  if (!fields) return bad_call(streams, fields.error().message);
  return tell(registry.create_account({}, *fields, now_unix_s()), args, streams);
}

int set(Registry& registry, const Arguments& args, const Streams& streams) {
  const auto fields = fields_of(args, kSettings);
  if (!fields) return bad_call(streams, fields.error().message);
  return tell(registry.change_account({}, args.words[1], *fields), args, streams);
}

int show(Registry& registry, const Arguments& args, const Streams& streams) {
  return tell(registry.account({}, args.words[1]), args, streams);
}

int change(Registry& registry, const Arguments& args, const Streams& streams) {
  const bool enabled = args.words[0] == "enable";
  return tell(registry.enable_account({}, args.words[1], enabled, now_unix_s()), args, streams);
}

int list(Registry& registry, const Arguments& args, const Streams& streams) {
  store::AccountPage page;
  page.limit = 1000;
  page.within = args.value("--below");
  std::vector<std::string> objects;
  std::vector<std::vector<std::string>> lines{
      {"ID", "NAME", "PARENT", "PAYER", "MODE", "CURRENCY", "CREDIT LIMIT", "STATE"}};
  while (true) {
    const auto rows = registry.accounts({}, page);
    if (!rows) return refused(streams, rows.error());
    for (const store::AccountRow& row : *rows) {
      objects.push_back(account::to_json(row));
      lines.push_back({row.id, row.name, row.parent.empty() ? "-" : row.parent,
                       row.parent_pays ? "parent" : "self", std::string(store::to_text(row.mode)),
                       row.currency, format_nano(row.credit_limit_nano),
                       row.disabled_unix_s == 0 ? "enabled" : "disabled"});
    }
    if (rows->size() < page.limit) break;
    page.after = rows->back().id;
  }
  if (args.has("--json")) {
    print_json(objects, streams.out);
  } else {
    print_table(lines, streams.out);
  }
  return 0;
}

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> all = {
      {"create", create, false, with_limit_options(option_names(creating_options())), check_new},
      {"list", list, false, {"--below"}},
      {"show", show, true, {}},
      {"set", set, true, with_limit_options(option_names(kSettings))},
      {"disable", change, true, {}},
      {"enable", change, true, {}},
  };
  return all;
}

}  // namespace

int run_account(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  return run_verb("account", kUsage, verbs(), args, {out, err});
}

int run_account(std::span<const std::string> args) {
  return run_account(args, std::cout, std::cerr);
}

}  // namespace switchyard::cli
