// How long it takes to authenticate: a directory of a million keys, found in random order.
// bench_keys [KEYS]
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "core/account/directory.hpp"
#include "core/base/clock.hpp"

using namespace switchyard;

namespace {

constexpr std::size_t kRounds = 7, kLookups = 1'000'000;

double rss_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

std::uint64_t cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
  const account::Pepper pepper{Secret("0123456789abcdef0123456789abcdef")};
  std::vector<std::string> texts;
  texts.reserve(count);
  const double before_mib = rss_mib();

  const std::uint64_t begun = mono_ns();
  account::DirectoryEdit edit{account::Directory(pepper)};
  store::AccountRow owner;
  owner.id = store::kDefaultAccount;
  edit.put(owner);
  for (std::size_t i = 0; i < count; ++i) {
    texts.emplace_back(account::new_gateway_key().reveal());
    store::KeyRow row;
    row.id = account::new_id("key_");
    row.name = "app";
    row.account = owner.id;
    row.mac_hex = account::to_hex(pepper.mac(texts.back()));
    edit.put(row);
  }
  auto directory = edit.finish();
  std::printf("keys %zu, built in %.2f s, %.0f MiB\n", count,
              static_cast<double>(mono_ns() - begun) / 1e9, rss_mib() - before_mib);

  std::shuffle(texts.begin(), texts.end(), std::mt19937_64(1));
  std::vector<double> macs, finds;
  std::size_t good = 0;
  for (std::size_t round = 0; round < kRounds; ++round) {
    std::uint64_t from = cpu_ns();
    for (std::size_t i = 0; i < kLookups; ++i) good += pepper.mac(texts[i % count])[0] & 1;
    macs.push_back(static_cast<double>(cpu_ns() - from) / kLookups);
    from = cpu_ns();
    for (std::size_t i = 0; i < kLookups; ++i) {
      good += directory->find(texts[i % count], 1).standing == account::Standing::kGood;
    }
    finds.push_back(static_cast<double>(cpu_ns() - from) / kLookups);
  }
  std::sort(macs.begin(), macs.end());
  std::sort(finds.begin(), finds.end());
  std::printf("mac     %6.0f ns (%.0f to %.0f)\n", macs[kRounds / 2], macs.front(), macs.back());
  std::printf("find    %6.0f ns (%.0f to %.0f), the mac within\n", finds[kRounds / 2],
              finds.front(), finds.back());

  std::vector<double> patches;
  for (std::size_t round = 0; round < 1000; ++round) {
    store::KeyRow row;
    row.id = "key_patched";
    row.account = owner.id;
    row.mac_hex = account::to_hex(pepper.mac(texts[round % count]));
    const std::uint64_t from = cpu_ns();
    account::DirectoryEdit patch(*directory);
    patch.put(row);
    directory = patch.finish();
    patches.push_back(static_cast<double>(cpu_ns() - from) / 1000);
  }
  std::sort(patches.begin(), patches.end());
  std::printf("patch   %6.1f us (%.1f to %.1f)\n", patches[500], patches.front(), patches.back());
  return good == 0;
}
