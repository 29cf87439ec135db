// What limits are counted in, and the plans that they come from: opened, kept, and read anew.
#pragma once

#include <filesystem>
#include <memory>

#include "core/account/limits.hpp"
#include "core/account/plan_table.hpp"
#include "core/observe/log.hpp"
#include "core/store/database.hpp"
#include "core/store/limit_counts.hpp"
#include "core/store/plans.hpp"
#include "core/store/store.hpp"

namespace switchyard {

class LimitKeeper {
 public:
  // Null where they can't be opened; the log says why. `plans` outlives it. [control thread]
  static std::unique_ptr<LimitKeeper> open(const std::filesystem::path& state_directory,
                                           store::Database& plans);

  // True: plans changed. False: nothing did, or they can't be read, and those before stay in force.
  // [control thread]
  bool load_plans();
  const std::shared_ptr<const account::PlanTable>& plans() const { return plans_; }
  account::Limits& limits() { return *limits_; }
  // Saves what was counted. [one thread at a time]
  void keep();

 private:
  LimitKeeper() = default;

  std::unique_ptr<store::Database> database_;
  std::unique_ptr<store::LimitCounts> counts_;
  std::unique_ptr<account::LimitTable> table_;
  std::unique_ptr<account::Limits> limits_;
  std::unique_ptr<store::Plans> plan_rows_;
  std::shared_ptr<const account::PlanTable> plans_;
  std::int64_t plans_version_ = 0;
  observe::LogGate plans_gate_{std::chrono::seconds(10)}, keep_gate_{std::chrono::seconds(10)};
};

}  // namespace switchyard
