// What limits of days, months and plans' periods have counted, against a loss of power.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/store/database.hpp"

namespace switchyard::store {

struct LimitCountRow {
  std::string subject;     // its id
  std::int64_t which = 0;  // 0: the day, or the plan's period; 1: the month
  std::int64_t start_unix_s = 0;
  std::int64_t requests = 0, tokens = 0;
};

// Blocking: never on a loop. [any thread]
class LimitCounts {
 public:
  explicit LimitCounts(Database& database) : database_(database) {}

  Result<std::vector<LimitCountRow>> find(const std::string& subject);
  // Each in place of the one before; all or none.
  Result<void> save(const std::vector<LimitCountRow>& rows);
  // Those of periods that began before.
  Result<void> forget_before(std::int64_t start_unix_s);

 private:
  Database& database_;
};

}  // namespace switchyard::store
