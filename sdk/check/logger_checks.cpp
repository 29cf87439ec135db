// Checks of loggers.
#include <signal.h>
#include <switchyard/logger.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <switchyard/plugin.hpp>

#include "bench.hpp"
#include "session.hpp"

namespace swy::check {
namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;

swy_rec full_record() {
  static const swy_kv kFacts[] = {{str("region"), str("eu")}, {str("quote\"\n"), str("\xc3\xa9")}};
  swy_rec rec{};
  rec.size = sizeof rec;
  rec.flags = SWY_REC_STREAM | SWY_REC_COST_KNOWN;
  rec.status = 200;
  rec.attempts = 2;
  rec.start_unix_ns = 1'767'225'600'123'456'789;
  rec.dur_ns = 1'500'000'000;
  rec.ttft_ns = 200'000'000;
  rec.upstream_ns = 190'000'000;
  rec.tok_in = 40;
  rec.tok_out = 12;
  rec.cost_nano = 1234;
  rec.cost_currency = str("USD");
  rec.id = str("req-1");
  rec.trace = str("0af7651916cd43dd8448eb211c80319c");
  rec.key_id = str("k1");
  rec.account = str("acme");
  rec.task = str("chat");
  rec.surface = str("openai");
  rec.model_asked = str("fast");
  rec.model_used = str("m-1");
  rec.provider = str("openai");
  rec.final_status = str("ok");
  rec.finish_reason = str("stop");
  rec.error_text = str("line one\nline \"two\" \\ \x01");
  rec.fallback_path = str("a/m:timeout > b/m:ok");
  rec.kv = kFacts;
  rec.nkv = 2;
  return rec;
}

struct Written {
  swy_rc rc = SWY_OK;
  std::uint32_t taken = 0;
  std::uint64_t took_ns = 0;
  std::string fault;  // of the contract
  std::string said;
};

struct Manner {
  Lender::Mode mode = Lender::Mode::kHeap;
  std::size_t tail = 0;
  std::uint64_t budget_ns = 5 * kSecondNs;
};

Written write(const Bench& bench, void* instance, const std::vector<swy_rec>& records,
              const Manner& manner = {}) {
  const auto n = static_cast<std::uint32_t>(records.size());
  const std::size_t stride = sizeof(swy_rec) + manner.tail;
  std::string array(n * stride, '\xEE');
  for (std::uint32_t i = 0; i < n; ++i) {
    swy_rec rec = records[i];
    rec.size = static_cast<std::uint32_t>(stride);
    std::memcpy(array.data() + i * stride, &rec, sizeof rec);
  }
  Lender lender(manner.mode);
  entering("logger.write");
  const auto* rec = static_cast<const swy_rec*>(lender.lend(array.data(), array.size(), "rec"));
  constexpr std::uint32_t kUntouched = 0;
  auto* taken = lender.lend_struct(kUntouched, "taken");
  auto* err = lender.lend_struct(empty_err(), "swy_err");
  Written written;
  const std::uint64_t began = mono_ns();
  written.rc = bench.table<swy_logger>().write(instance, rec, n, static_cast<std::uint32_t>(stride),
                                               began + manner.budget_ns, taken, err);
  written.took_ns = mono_ns() - began;
  left();
  written.taken = *taken;
  written.said = err_text(*err);
  if (written.taken > n) {
    written.fault = "*taken is a prefix of the records: it says " + std::to_string(written.taken) +
                    " of " + std::to_string(n);
  } else if (written.rc < 0) {
    written.fault = err_fault(*err);
    if (!written.fault.empty()) {
      written.fault = "write returned " + rc_name(written.rc) + ", and " + written.fault;
    }
  }
  lender.take_back();
  return written;
}

Written flush(const Bench& bench, void* instance, std::uint64_t budget_ns = 5 * kSecondNs) {
  Written written;
  swy_err err = empty_err();
  entering("logger.flush");
  const std::uint64_t began = mono_ns();
  written.rc = bench.table<swy_logger>().flush(instance, began + budget_ns, &err);
  written.took_ns = mono_ns() - began;
  left();
  written.said = err_text(err);
  if (written.rc < 0) written.fault = err_fault(err);
  return written;
}

std::string said(const char* call, const Written& written) {
  return std::string(call) + " returned " + rc_name(written.rc) + ", " +
         std::to_string(written.taken) + " taken: " + written.said;
}

// Brings the records as the host does: what was not taken comes again. Empty where all were taken.
std::string write_all(const Bench& bench, void* instance, std::vector<swy_rec> records,
                      const Manner& manner = {}) {
  std::size_t idle = 0;
  while (!records.empty()) {
    const Written written = write(bench, instance, records, manner);
    if (!written.fault.empty()) return written.fault;
    if (written.rc < 0) return said("write", written);
    records.erase(records.begin(), records.begin() + written.taken);
    idle = written.taken == 0 ? idle + 1 : 0;
    if (idle > 100)
      return "write took nothing of " + std::to_string(records.size()) + " records, 100 times";
  }
  return {};
}

Outcome judged(const std::string& fault, std::string passed = {}) {
  return fault.empty() ? Outcome::passed(std::move(passed)) : Outcome::failed(fault);
}

Outcome takes(Bench& bench) {
  void* instance = bench.open_own();
  for (const std::size_t n : {1U, 2U, 100U}) {
    const std::string fault = write_all(bench, instance, std::vector<swy_rec>(n, full_record()));
    if (!fault.empty()) return Outcome::failed(fault);
  }
  const Written none = write(bench, instance, {});
  if (!none.fault.empty()) return Outcome::failed(none.fault);
  bench.close(instance);
  return Outcome::passed();
}

Outcome strides(Bench& bench) {
  void* instance = bench.open_own();
  return judged(write_all(bench, instance, std::vector<swy_rec>(10, full_record()),
                          {Lender::Mode::kGuarded, 48, 5 * kSecondNs}));
}

Outcome empty_fields(Bench& bench) {
  void* instance = bench.open_own();
  swy_rec empty{};
  empty.size = sizeof empty;
  swy_rec most = full_record();
  most.start_unix_ns = most.dur_ns = most.ttft_ns = UINT64_MAX;
  most.tok_in = most.tok_out = UINT64_MAX;
  most.cost_nano = INT64_MIN;
  most.status = most.flags = UINT32_MAX;
  const std::string broken = "\xff\xfe broken \xc3", large(100'000, 'x');
  swy_rec odd = full_record();
  odd.error_text = str(broken);
  odd.account = str(large);
  trying("a record of zeros and NULL texts, one of the largest numbers, one of broken UTF-8");
  return judged(write_all(bench, instance, {empty, most, odd, full_record()}));
}

Outcome many(Bench& bench) {
  void* instance = bench.open_own();
  for (int i = 0; i < 100; ++i) {
    const std::string fault = write_all(bench, instance, std::vector<swy_rec>(100, full_record()));
    if (!fault.empty()) return Outcome::failed(fault);
  }
  const Written flushed = flush(bench, instance);
  if (flushed.rc < 0) return Outcome::failed(said("flush", flushed));
  bench.close(instance);
  return Outcome::passed("10,000 records and a flush");
}

Outcome deadline(Bench& bench) {
  constexpr std::uint64_t kGraceNs = kSecondNs / 2;
  void* instance = bench.open_own();
  for (const std::uint64_t budget_ns : {std::uint64_t{0}, kSecondNs / 20}) {
    const Written written = write(bench, instance, std::vector<swy_rec>(1000, full_record()),
                                  {Lender::Mode::kHeap, 0, budget_ns});
    if (!written.fault.empty()) return Outcome::failed(written.fault);
    const Written flushed = flush(bench, instance, budget_ns);
    for (const Written& each : {written, flushed}) {
      if (each.took_ns > budget_ns + kGraceNs) {
        return Outcome::failed("a logger may block until its deadline: given " +
                               std::to_string(budget_ns / 1'000'000) + " ms, it took " +
                               std::to_string(each.took_ns / 1'000'000) + " ms");
      }
    }
  }
  return Outcome::passed();
}

// Bytes that this process has handed to write().
std::uint64_t bytes_written() {
  std::uint64_t bytes = 0;
  char name[32];
  unsigned long long value = 0;
  std::FILE* file = std::fopen("/proc/self/io", "r");
  while (file && std::fscanf(file, "%31s %llu", name, &value) == 2) {
    if (std::strcmp(name, "wchar:") == 0) bytes = value;
  }
  if (file) std::fclose(file);
  return bytes;
}

// No file may grow any more: what a full disk is to a logger.
void fill_disk() {
  const struct rlimit none = {0, 0};
  ::signal(SIGXFSZ, SIG_IGN);
  ::setrlimit(RLIMIT_FSIZE, &none);
}

Outcome unwritable(Bench& bench) {
  constexpr std::size_t kRecords = 1000;
  void* instance = bench.open_own();
  const std::vector<swy_rec> records(kRecords, full_record());
  const std::uint64_t before = bytes_written();
  const std::string fault = write_all(bench, instance, records);
  if (!fault.empty()) return Outcome::failed(fault);
  flush(bench, instance);
  if (bytes_written() - before < kRecords) {
    return Outcome::skipped("writes no file that could be full");
  }
  fill_disk();
  trying("no file can grow any more");
  const Written written = write(bench, instance, records);
  const Written flushed = flush(bench, instance);
  for (const Written& each : {written, flushed}) {
    if (!each.fault.empty()) return Outcome::failed(each.fault);
  }
  if (written.rc >= 0 && written.taken == kRecords && flushed.rc >= 0) {
    return Outcome::failed(
        "what can't be written is not taken, or flush says so; seen: 1,000 "
        "records taken and flushed while no file could grow");
  }
  bench.close(instance);
  return Outcome::passed("reported: " + (written.rc < 0 ? written.said
                                         : flushed.rc < 0
                                             ? flushed.said
                                             : std::to_string(written.taken) + " taken"));
}

Outcome borrowed(Bench& bench) {
  void* instance = bench.open_own();
  for (int i = 0; i < 20; ++i) {
    const std::string fault = write_all(bench, instance, std::vector<swy_rec>(5, full_record()),
                                        {Lender::Mode::kGuarded, 0, 5 * kSecondNs});
    if (!fault.empty()) return Outcome::failed(fault);
    flush(bench, instance);
  }
  bench.close(instance);
  return Outcome::passed();
}

Outcome leaks(Bench& bench) {
  void* instance = bench.open_own();
  const std::vector<swy_rec> records(3, full_record());
  return growth("writes", [&](std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) write(bench, instance, records);
  });
}

}  // namespace

const std::vector<Check> kLoggerChecks = {{"logger.takes", takes},
                                          {"logger.strides", strides},
                                          {"logger.empty-fields", empty_fields},
                                          {"logger.many", many},
                                          {"logger.deadline", deadline},
                                          {"logger.unwritable", unwritable},
                                          {"logger.borrowed", borrowed},
                                          {"logger.leaks", leaks}};

}  // namespace swy::check
