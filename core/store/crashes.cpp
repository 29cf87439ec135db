#include "core/store/crashes.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace switchyard::store {
namespace {

constexpr auto kWindowMs =
    static_cast<std::uint64_t>(std::chrono::milliseconds(kCrashWindow).count());
constexpr std::size_t kKeptMax = 1000;

}  // namespace

CrashList::CrashList(std::filesystem::path directory) : file_(directory / "crashes") { read(); }

// A line each: unix_ms, SHA-256, "crashed" or "quarantined", and where.
void CrashList::read() {
  std::ifstream in(file_);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    Crash crash;
    std::string state;
    if (!(words >> crash.unix_ms >> crash.sha256 >> state)) continue;
    std::getline(words >> std::ws, crash.where);
    crash.quarantined = state == "quarantined";
    crashes_.push_back(std::move(crash));
  }
}

bool CrashList::write() const {
  const std::filesystem::path fresh = file_.string() + ".new";
  {
    std::ofstream out(fresh, std::ios::trunc);
    for (const Crash& crash : crashes_) {
      out << crash.unix_ms << ' ' << crash.sha256 << ' '
          << (crash.quarantined ? "quarantined" : "crashed") << ' ' << crash.where << '\n';
    }
    if (!out.flush()) return false;
  }
  std::error_code failed;
  std::filesystem::rename(fresh, file_, failed);
  return !failed;
}

CrashList::Count CrashList::add(const Blame& blame, const std::string& signal,
                                std::uint64_t unix_ms) {
  Crash crash{unix_ms, blame.sha256, std::string(to_string(blame.call)) + " with " + signal, false};
  const auto count = static_cast<unsigned>(
      1 + std::count_if(crashes_.begin(), crashes_.end(), [&](const Crash& before) {
        return before.sha256 == blame.sha256 && before.unix_ms + kWindowMs >= unix_ms;
      }));
  const bool quarantined = count >= 2 || blame.call == Call::kShadow;
  crash.quarantined = quarantined;
  crashes_.push_back(std::move(crash));
  if (crashes_.size() > kKeptMax) crashes_.erase(crashes_.begin());
  write();
  return {count, quarantined};
}

bool CrashList::release(const std::string& sha256) {
  const auto of_it = [&](const Crash& crash) { return crash.sha256 == sha256; };
  const bool found = std::any_of(crashes_.begin(), crashes_.end(), [&](const Crash& crash) {
    return of_it(crash) && crash.quarantined;
  });
  if (!found) return false;
  std::erase_if(crashes_, of_it);
  return write();
}

std::map<std::string, std::string> CrashList::quarantined() const {
  std::map<std::string, std::string> reasons;
  for (const Crash& crash : crashes_) {
    if (!crash.quarantined) continue;
    const bool alone = crash.where.starts_with(to_string(Call::kShadow));
    const std::string times =
        alone
            ? "crashed in "
            : "crashed twice within " + std::to_string(kCrashWindow.count()) + " minutes, last in ";
    reasons[crash.sha256] = times + crash.where;
  }
  return reasons;
}

}  // namespace switchyard::store
