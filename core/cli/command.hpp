// The operator's commands. Each takes the arguments behind its name and returns the exit status: 0,
// 1 where it failed, 2 where it was called wrongly.
#pragma once

#include <ostream>
#include <span>
#include <string>

namespace switchyard::cli {

// check [--config FILE] [--json]: what a configuration means, or each of its faults.
int run_check(std::span<const std::string> args);
// key create --name NAME [--models A,B] | key list | key disable ID; each with [--state DIR |
// --config FILE] [--json].
int run_key(std::span<const std::string> args);
// ledger verify | balance [ACCOUNT] | export [--from TIME] [--to TIME] [--format csv|json]; each
// with
// [--state DIR | --config FILE] [--json]. `verify`: 1 where anything is wrong.
int run_ledger(std::span<const std::string> args);
// plugin list | swap FILE.so | rollback NAME.so: asks the running gateway; each with [--state DIR |
// --config FILE] [--ca-file FILE] [--json].
int run_plugin(std::span<const std::string> args);

// plugin check FILE [--config JSON|@FILE] [...]: holds a plugin against its contract. 0 passed, 1
// failed, 2 could not run.

// The same with given streams.
int run_check(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_key(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_ledger(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_plugin(std::span<const std::string> args, std::ostream& out, std::ostream& err);
int run_plugin_check(std::span<const std::string> args, std::ostream& out, std::ostream& err);

}  // namespace switchyard::cli
