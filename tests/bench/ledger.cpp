// What the ledger costs a loop: CPU of one hold and its settlement, and of the books' thread for
// it. `cmake --build DIR --target bench_ledger && DIR/bin/bench_ledger [PAIRS]`; needs 1 GB in
// TMPDIR.
#include "core/account/ledger.hpp"

#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <string>
#include <thread>

using namespace switchyard;

namespace {

std::uint64_t thread_cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(now.tv_nsec);
}

std::uint64_t process_cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(now.tv_nsec);
}

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(1);
}

account::Settlement settlement() {
  static const account::CostLine costs[] = {
      {"openai", "gpt-4o-mini", "USD", 1'234'000, "2026-11-01", "completed", false}};
  static const std::uint64_t quantities[] = {812, 400, 0, 0, 233};
  account::Settlement made;
  made.charge = 2'345'000;
  made.currency = "USD";
  made.price_version = "2026-11-01";
  made.costs = costs;
  made.quantities = quantities;
  made.feature = "support-bot";
  made.task = "chat";
  made.model_asked = "fast";
  made.model_used = "gpt-4o-mini";
  made.provider = "openai";
  made.ended = "completed";
  return made;
}

}  // namespace

int main(int argc, char** argv) {
  const long pairs = argc > 1 ? std::atol(argv[1]) : 200'000;
  std::string name = (std::filesystem::temp_directory_path() / "switchyard-bench-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) die("mkdtemp: " + name);
  account::LedgerOptions options;
  options.state = name;
  auto opened = account::Ledger::open(options);
  if (!opened) die(opened.error().message);
  account::Ledger& ledger = **opened;
  account::LoopLedger& loop = ledger.add_loop([](std::function<void()> run) { run(); });
  const auto account = ledger.account_cell("acc_1", "USD", account::CellRef::kNoLimit);
  const auto budget = ledger.budget_cell("b:1", 0, account::CellRef::kNoLimit);
  if (!account || !budget) die("no cell");
  const account::CellRef cells[] = {*account, *budget};
  const account::Settlement end = settlement();

  std::uint64_t cpu_ns = 0;
  long done = 0, refused = 0;
  while (done < pairs) {
    constexpr long kBatch = 500;
    const std::uint64_t began = thread_cpu_ns();
    long settled = 0;
    for (; settled < kBatch; ++settled) {
      auto held = loop.hold(cells, 5'000'000, {"req_0123456789abcdef", "acc_1", "key_1", 1});
      if (!held) break;
      loop.settle(std::move(*held), end);
    }
    if (settled == kBatch) {
      cpu_ns += thread_cpu_ns() - began;
      done += kBatch;
    } else {
      ++refused;
      std::this_thread::yield();
    }
  }
  const auto flushed = ledger.flush();
  if (!flushed) die(flushed.error().message);
  const std::uint64_t others_ns = process_cpu_ns() - thread_cpu_ns();
  const auto stats = ledger.stats();
  std::printf("hold and settle, 2 cells, 1 cost line: %.3f us of the loop's CPU each (%ld)\n",
              static_cast<double>(cpu_ns) / 1e3 / static_cast<double>(done), done);
  std::printf("off the loop, preparing, syncing, booking: %.1f us of CPU each (%llu settlements)\n",
              static_cast<double>(others_ns) / 1e3 / static_cast<double>(stats.settlements),
              static_cast<unsigned long long>(stats.settlements));
  std::printf("batches that waited for a segment: %ld; longest sync: %.1f ms\n", refused,
              static_cast<double>(stats.sync_ns_max) / 1e6);
  opened->reset();
  std::filesystem::remove_all(name);
  return 0;
}
