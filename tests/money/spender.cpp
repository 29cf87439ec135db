// Spends from two loops as fast as it can and says on standard output what was settled: a line for
// each, "REQUEST CHARGE", written once settle() has returned. For kill_test.py.
//
//   switchyard_spender STATE RUN            spends until it is killed
//   switchyard_spender STATE --pay AMOUNT   credits account "a"
//   switchyard_spender STATE --recover      opens and ends the ledger
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "core/account/ledger.hpp"
#include "core/observe/log.hpp"

using namespace switchyard;

namespace {

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(1);
}

void say(const std::string& line) {
  if (write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    std::_Exit(1);
  }
}

void spend(account::Ledger& ledger, account::LoopLedger& loop, const std::string& name) {
  const auto cell = ledger.account_cell("a", "USD", 0);
  if (!cell) die(cell.error().message);
  for (Nano n = 0;; ++n) {
    const std::string request = name + "-" + std::to_string(n);
    auto held = loop.hold(std::span(&*cell, 1), 50, {request, "a", "key", 0});
    if (!held) {
      // No room yet: the journal is prepared off the loop.
      std::this_thread::yield();
      continue;
    }
    if (n % 5 == 0 && !loop.extend(*held, 10)) continue;
    if (n % 11 == 0) continue;  // given up
    const account::CostLine cost[] = {{"up", "m", "USD", 3, "c1", "completed", false}};
    account::Settlement settlement;
    settlement.charge = n % 70;
    settlement.currency = "USD";
    settlement.costs = cost;
    // Every other one tells of its cost itself.
    if (n % 2 == 0) settlement.provider = "up", settlement.model_used = "m";
    settlement.ended = "completed";
    const Nano charged = loop.settle(std::move(*held), settlement);
    say(request + " " + std::to_string(charged) + "\n");
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) die("usage: switchyard_spender STATE RUN|--pay AMOUNT|--recover");
  const std::string what = argv[2];
  // To standard error: the other output is the test's.
  if (const auto ready = observe::init_log("warn"); !ready) die(ready.error().message);
  account::LedgerOptions options;
  options.state = argv[1];
  options.segment_bytes = 256 * 1024;
  auto opened = account::Ledger::open(std::move(options));
  if (!opened) die(opened.error().message);
  account::Ledger& ledger = **opened;
  if (what == "--pay") {
    const Nano amount = std::strtoll(argv[3], nullptr, 10);
    const auto paid = ledger.move_money(
        {"top-up",
         "topup",
         "",
         "",
         1,
         {{store::kHouseCash, "USD", -amount}, {store::account_name("a"), "USD", amount}}});
    if (!paid) die(paid.error().message);
  }
  if (what.starts_with("--")) {
    const auto ended = ledger.end();
    if (!ended) die(ended.error().message);
    return 0;
  }
  const auto now = [](std::function<void()> run) { run(); };
  account::LoopLedger& first = ledger.add_loop(now);
  account::LoopLedger& second = ledger.add_loop(now);
  std::thread other([&] { spend(ledger, second, what + "b"); });
  spend(ledger, first, what + "a");
  return 0;
}
