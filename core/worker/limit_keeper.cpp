#include "core/worker/limit_keeper.hpp"

#include <spdlog/spdlog.h>

#include "core/base/clock.hpp"

namespace switchyard {
namespace {

// A plan's period may be a year.
constexpr std::int64_t kCountsKeptS = 400 * 86'400;

std::unique_ptr<LimitKeeper> not_opened(const Error& fault) {
  spdlog::error("limits_not_opened reason={}", observe::quote(fault.message));
  return nullptr;
}

}  // namespace

std::unique_ptr<LimitKeeper> LimitKeeper::open(const std::filesystem::path& state_directory,
                                               store::Database& plans) {
  auto database = store::open_database(state_directory);
  if (!database) return not_opened(database.error());
  auto table = account::LimitTable::open(state_directory);
  if (!table) return not_opened(table.error());
  std::unique_ptr<LimitKeeper> keeper(new LimitKeeper);
  keeper->database_ = std::move(*database);
  keeper->counts_ = std::make_unique<store::LimitCounts>(*keeper->database_);
  const auto now_s = static_cast<std::int64_t>(unix_ns() / 1'000'000'000u);
  const auto forgotten = keeper->counts_->forget_before(now_s - kCountsKeptS);
  if (!forgotten) return not_opened(forgotten.error());
  keeper->table_ = std::move(*table);
  keeper->limits_ = std::make_unique<account::Limits>(*keeper->table_, *keeper->counts_);
  keeper->plan_rows_ = std::make_unique<store::Plans>(plans);
  return keeper->load_plans() ? std::move(keeper) : nullptr;
}

bool LimitKeeper::load_plans() {
  const auto version = plan_rows_->version();
  if (version && *version == plans_version_) return false;
  auto plans = version ? account::PlanTable::read(*plan_rows_)
                       : Result<std::shared_ptr<const account::PlanTable>>(version.error());
  if (!plans) {
    if (const auto held = plans_gate_.pass(mono_ns())) {
      spdlog::error("plans_not_loaded reason={} held_back={}",
                    observe::quote(plans.error().message), *held);
    }
    return false;
  }
  plans_ = std::move(*plans);
  plans_version_ = *version;
  return true;
}

void LimitKeeper::keep() {
  const auto kept = limits_->keep();
  if (kept) return;
  if (const auto held = keep_gate_.pass(mono_ns())) {
    spdlog::error("limits_not_saved reason={} held_back={}", observe::quote(kept.error().message),
                  *held);
  }
}

}  // namespace switchyard
