// The operator's commands. Each takes the arguments behind its name and returns the exit status: 0,
// 1 where it failed, 2 where it was called wrongly.
#pragma once

#include <ostream>
#include <span>
#include <string>

namespace switchyard::cli {

// check [--config FILE] [--json]: what a configuration means, or each of its faults.
int run_check(std::span<const std::string> args);
// account create | list | show | set | disable | enable, and the same and rotate and delete of key;
// each with [--state DIR | --config FILE] [--json]. They work on the store, with or without a
// gateway that runs.
int run_account(std::span<const std::string> args);
int run_key(std::span<const std::string> args);
// ledger verify | balance [ACCOUNT] | export [--from TIME] [--to TIME] [--format csv|json]; each
// with
// [--state DIR | --config FILE] [--json]. `verify`: 1 where anything is wrong.
int run_ledger(std::span<const std::string> args);
// plugin list | swap FILE.so | rollback NAME.so: asks the running gateway; each with [--state DIR |
// --config FILE] [--ca-file FILE] [--json].
int run_plugin(std::span<const std::string> args);
// record list [FILTER ...] | record show ID, and usage [--by ...]: what the gateway keeps of
// requests and sums up of them; each with [--json | --csv] and as above.
int run_record(std::span<const std::string> args);
int run_usage(std::span<const std::string> args);
// route explain MODEL [...]: how a request would be routed now; asks the running gateway.
int run_route(std::span<const std::string> args);
// replay RECORDS --config FILE [...]: how recorded requests would have fared under another
// configuration.
int run_replay(std::span<const std::string> args);
// token create --name NAME --role ROLE [...] | token list | token disable ID: who may use the admin
// API; each with [--state DIR | --config FILE] [--json].
int run_token(std::span<const std::string> args);
// audit list [--limit N] [--after SEQ] [--object ID] [--state DIR | --config FILE] [--json].
int run_audit(std::span<const std::string> args);
// config show | validate FILE | apply FILE | history | rollback [ID]: asks the running gateway;
// each with [--state DIR | --config FILE] [--ca-file FILE] [--json].
int run_config(std::span<const std::string> args);
// price import FILE | list | show MODEL | history NAME; each with [--state DIR | --config FILE]
// [--json].
int run_price(std::span<const std::string> args);
// What is sold and what was ordered, over the admin API of the running gateway; `--help` of each
// tells its verbs.
int run_plan(std::span<const std::string> args);
int run_order(std::span<const std::string> args);
int run_code(std::span<const std::string> args);
int run_invoice(std::span<const std::string> args);
int run_budget(std::span<const std::string> args);
// breaker list | set ID --to STATE: how upstreams fare, by the admin API.
int run_breaker(std::span<const std::string> args);

// plugin check FILE [--config JSON|@FILE] [...]: holds a plugin against its contract. 0 passed, 1
// failed, 2 could not run.

// The same with given streams.
int run_check(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_account(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_key(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_ledger(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_plugin(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_record(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_usage(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_route(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_replay(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_token(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_audit(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_config(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_price(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_plugin_check(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_plan(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_order(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_code(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_invoice(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_budget(std::span<const std::string> args, std::ostream& out, std::ostream& err);

}  // namespace switchyard::cli
