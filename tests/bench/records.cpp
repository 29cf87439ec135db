// How long the two questions of a dashboard take over a month of records.
//
//   bench_records make DIRECTORY [RECORDS]   generates them, 10 million unless told, over 30 days
//   bench_records ask DIRECTORY              a month's usage, and pages of records, several times
#include "core/store/records.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "core/store/record_search.hpp"
#include "core/store/rollups.hpp"

namespace {

using namespace switchyard;
using namespace switchyard::store;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kDays = 30;
constexpr std::uint64_t kDayNs = 86'400'000'000'000;
constexpr std::size_t kBatch = 20'000;
constexpr int kRounds = 9;

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

[[noreturn]] void fail(const Error& error) {
  std::fprintf(stderr, "%s\n", error.message.c_str());
  std::exit(1);
}

// 200 accounts, of which few ask for most; two keys each, eight models at three providers.
RecordRow make_row(std::mt19937_64& random, std::uint64_t start_ns, std::uint64_t number) {
  const auto below = [&random](std::uint64_t limit) { return random() % limit; };
  const std::uint64_t account = std::min(below(200), below(200));
  const std::uint64_t model = below(8);
  RecordRow row;
  row.start_ns = start_ns;
  char id[32];
  std::snprintf(id, sizeof id, "req_%024llx",
                static_cast<unsigned long long>(number * 0x9e3779b97f4a7c15u));
  row.id = id;
  row.account = "account-" + std::to_string(account);
  row.key_id = "key_" + std::to_string(account * 2 + below(2));
  row.feature = account % 3 == 0 ? "coding" : "chat-support";
  row.task = "chat";
  row.surface = "openai";
  row.model_asked = "fast";
  row.model_used = "model-" + std::to_string(model);
  row.provider = "provider-" + std::to_string(model % 3);
  if (below(100'000) == 0) row.model_used = "model-rare";
  row.stream = below(2);
  row.status = 200;
  row.attempts = 1;
  row.final_status = "ok";
  row.duration_us = 200'000 + below(8'000'000);
  row.ttft_us = 50'000 + below(900'000);
  row.upstream_us = row.ttft_us;
  row.tok_in = 200 + below(8000);
  row.tok_out = below(900);
  row.reported = 1;
  row.cost_nano = static_cast<std::int64_t>(row.tok_in * 150 + row.tok_out * 600);
  row.charge_nano = *row.cost_nano + *row.cost_nano / 10;
  row.cost_currency = row.charge_currency = "USD";
  row.price_version = "2026-11-01";
  row.finish_reason = "stop";
  row.route_reason = "alias fast: cost 0.0012 USD (of 3)";
  if (below(50) == 0) {
    row.status = 502;
    row.final_status = "upstream_error";
    row.error_code = "upstream_error";
    row.error_text =
        below(1000) == 0 ? "certificate has expired" : "the upstream closed the connection";
    row.plan = R"({"alias":"fast","strategies":["cost"],"request":{},"candidates":[],"order":[]})";
  }
  return row;
}

void make(const std::string& directory, std::uint64_t count) {
  Records records(directory, {});
  const std::uint64_t first = *day_begin_ns("2026-10-22");
  const std::uint64_t step = kDays * kDayNs / count;
  std::mt19937_64 random(1);
  std::vector<RecordRow> rows;
  const auto begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) {
    rows.push_back(make_row(random, first + i * step, i + 1));
    const bool day_ends = (i + 1) * step / kDayNs != i * step / kDayNs;
    if (rows.size() < kBatch && i + 1 < count && !day_ends) continue;
    const auto written = records.write(rows);
    if (!written.result) fail(written.result.error());
    const auto summed = records.sum_up();
    if (!summed) fail(summed.error());
    rows.clear();
    if (!day_ends) continue;
    const auto tidied = records.tidy(first + i * step);
    if (!tidied) fail(tidied.error());
  }
  const double ms = ms_since(begin);
  std::printf("%llu records in %.0f s, %.1f us each, in batches of %zu\n",
              static_cast<unsigned long long>(count), ms / 1000,
              ms * 1000 / static_cast<double>(count), kBatch);
}

// Of all threads: what remains of a time on a machine that has other work.
double cpu_ms() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

// Median and worst of some rounds, and the median of their CPU time.
void measure(const char* name, const std::function<std::size_t()>& work) {
  std::vector<double> times, cpu;
  std::size_t rows = 0;
  for (int round = 0; round < kRounds; ++round) {
    const auto begin = Clock::now();
    const double cpu_begin = cpu_ms();
    rows = work();
    times.push_back(ms_since(begin));
    cpu.push_back(cpu_ms() - cpu_begin);
  }
  const double first = times.front();
  std::sort(times.begin(), times.end());
  std::sort(cpu.begin(), cpu.end());
  std::printf("%-52s %6zu rows  median %7.1f ms  worst %7.1f  first %7.1f  cpu %7.1f\n", name, rows,
              times[times.size() / 2], times.back(), first, cpu[cpu.size() / 2]);
}

void measure_usage(const char* name, const std::string& directory, UsageQuery query) {
  query.from_s = static_cast<std::int64_t>(*day_begin_ns("2026-10-22") / 1'000'000'000);
  query.to_s = query.from_s + static_cast<std::int64_t>(kDays * 86'400);
  query.time_max = std::chrono::seconds(60);
  measure(name, [&]() -> std::size_t {
    auto rollups = Rollups::open(usage_file(directory));
    if (!rollups) fail(rollups.error());
    const auto rows = (*rollups)->usage(query);
    if (!rows) fail(rows.error());
    return rows->size();
  });
}

void measure_page(const char* name, const std::string& directory, const RecordFilter& filter,
                  std::optional<RecordPlace> after = {}) {
  measure(name, [&]() -> std::size_t {
    SearchLimits limits;
    limits.time_max = std::chrono::seconds(60);
    const auto page = find_records(directory, filter, after, limits);
    if (!page) fail(page.error());
    return page->rows.size();
  });
}

void ask(const std::string& directory) {
  UsageQuery day;
  measure_usage("usage: month by day", directory, day);
  day.histograms = true;
  day.by = {UsageBy::kModel, UsageBy::kProvider};
  measure_usage("usage: month by day, model, provider, latencies", directory, day);
  UsageQuery accounts;
  accounts.by = {UsageBy::kAccount};
  measure_usage("usage: month by day, account", directory, accounts);
  UsageQuery hours = day;
  hours.step = UsageStep::kHour;
  measure_usage("usage: month by hour, model, provider, latencies", directory, hours);
  UsageQuery one;
  one.by = {UsageBy::kModel};
  one.only[UsageBy::kAccount] = {"account-7"};
  measure_usage("usage: month by day, model of one account", directory, one);

  measure_page("records: newest", directory, {});
  RecordFilter account;
  account.accounts = {"account-199"};
  measure_page("records: of a quiet account", directory, account);
  account.failed = true;
  account.model_used = "model-3";
  measure_page("records: its failures of one model", directory, account);
  RecordFilter error;
  error.error = "certificate";
  measure_page("records: by words of a rare error", directory, error);
  RecordFilter dear;
  dear.cost_nano_min = 1'500'000;
  dear.duration_us_min = 5'000'000;
  measure_page("records: dear and slow", directory, dear);
  RecordFilter rare;
  rare.model_used = "model-rare";
  measure_page("records: of a model that one in 100,000 uses", directory, rare);
  RecordFilter nothing;
  nothing.feature = "nobody";
  measure_page("records: of a feature that nobody uses", directory, nothing);
  RecordFilter old;
  old.to_ns = *day_begin_ns("2026-10-25");
  old.model_used = "model-5";
  measure_page("records: of a model, of weeks ago", directory, old);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string verb = argc > 2 ? argv[1] : "";
  if (verb == "make") {
    make(argv[2], argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 10'000'000);
  } else if (verb == "ask") {
    ask(argv[2]);
  } else {
    std::fputs("usage: bench_records make DIRECTORY [RECORDS] | bench_records ask DIRECTORY\n",
               stderr);
    return 2;
  }
  return 0;
}
