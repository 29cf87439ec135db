#include "core/cli/dispatch.hpp"

#include <cstdio>
#include <exception>
#include <span>
#include <string>
#include <switchyard_version.hpp>
#include <vector>

#include "core/cli/command.hpp"
#include "core/cli/serve.hpp"
#include "core/plugin/library.hpp"
#include "core/supervisor/handover.hpp"

namespace switchyard::cli {
namespace {

using Words = std::span<const std::string>;

int run_help(Words);

// `handover` is read by a supervisor that asks whether this binary may take its place.
int run_version(Words) {
  std::printf("switchyard %s\nhandover %d\n", kVersion, supervisor::kHandoverVersion);
  return 0;
}

int run_plugin_trial(Words arguments) {
  const bool uses = arguments.size() == 2 && arguments[1] == "--uses";
  if (arguments.size() != 1 && !uses) {
    std::fputs("usage: switchyard plugin-trial FILE [--uses <USES.json]\n", stderr);
    return 2;
  }
  return plugin::run_trial(arguments[0], uses);
}

struct Command {
  const char* name;
  int (*run)(Words);
  const char* summary;  // empty: started by the host itself
};

constexpr Command kCommands[] = {
    {"serve", run_serve, "serve requests (this is done where no command is given)"},
    {"check", run_check, "say what a configuration means, or what is wrong with it"},
    {"account", run_account, "create, list and change accounts"},
    {"key", run_key, "create, list, change and rotate gateway keys"},
    {"ledger", run_ledger, "prove, show, reconcile and export the books"},
    {"token", run_token, "create, list and disable tokens of the admin API"},
    {"config", run_config, "show, apply and roll back the configuration of a running gateway"},
    {"audit", run_audit, "list what was changed, by whom and when"},
    {"price", run_price, "import and show price lists"},
    {"plan", run_plan, "plans and subscriptions to them"},
    {"order", run_order, "orders, their payment and refund"},
    {"code", run_code, "redemption codes"},
    {"invoice", run_invoice, "issue, preview and show invoices"},
    {"budget", run_budget, "budgets, and alerts that were raised"},
    {"breaker", run_breaker, "how upstreams fare; close one off, or open it again"},
    {"plugin", run_plugin, "write, check, list and swap plugins"},
    {"record", run_record, "find the records of requests, and show one"},
    {"usage", run_usage, "sum up requests, tokens and money by model, account ..."},
    {"route", run_route, "say how a request would be routed now"},
    {"replay", run_replay, "say how recorded requests would have fared otherwise"},
    {"plugin-trial", run_plugin_trial, "try a plugin file as the host does before it loads one"},
    {"version", run_version, "print the version"},
    {"help", run_help, "print this"},
    {"worker", run_worker_command, ""},
};

void print_commands(std::FILE* stream) {
  std::fputs("usage: switchyard [command] [options]\n\n", stream);
  for (const Command& command : kCommands) {
    if (command.summary[0] != '\0') {
      std::fprintf(stream, "  %-14s%s\n", command.name, command.summary);
    }
  }
  std::fputs("\n`switchyard COMMAND --help` tells its options.\n", stream);
}

int run_help(Words) {
  print_commands(stdout);
  return 0;
}

const Command* find_command(const std::string& name) {
  for (const Command& command : kCommands) {
    if (name == command.name) return &command;
  }
  return nullptr;
}

// "--config x" alone means serve; "--help" and "--version" are what people try first.
std::string command_name(std::vector<std::string>& arguments) {
  if (arguments.empty()) return "serve";
  if (arguments[0] == "--help" || arguments[0] == "-h") return "help";
  if (arguments[0] == "--version") return "version";
  if (arguments[0].starts_with("-")) return "serve";
  std::string name = std::move(arguments.front());
  arguments.erase(arguments.begin());
  return name;
}

}  // namespace

int dispatch(int argc, char** argv) {
  std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  const std::string name = command_name(arguments);
  const Command* command = find_command(name);
  if (command == nullptr) {
    std::fprintf(stderr, "switchyard: %s: no such command\n\n", name.c_str());
    print_commands(stderr);
    return 2;
  }
  try {
    return command->run(arguments);
  } catch (const std::exception& fault) {
    std::fprintf(stderr, "switchyard %s: %s\n", name.c_str(), fault.what());
    return 1;
  }
}

}  // namespace switchyard::cli
