#include "core/store/usage_days.hpp"

namespace switchyard::store {

Result<std::vector<UsageDay>> UsageDays::list(const std::string& account, const std::string& key,
                                              std::uint64_t first_day, std::uint64_t last_day) {
  const auto held = database_.lock();
  const auto select = database_.prepare(
      "SELECT day, model, currency, SUM(requests), SUM(charge) FROM usage_days "
      "WHERE account = ? AND day BETWEEN ? AND ? AND (? = '' OR key_id = ?) "
      "GROUP BY day, model, currency ORDER BY day, model, currency");
  select->bind(account).bind(first_day).bind(last_day).bind(key).bind(key);
  std::vector<UsageDay> days;
  while (true) {
    const auto row = select->step();
    if (!row) return row.error();
    if (!*row) return days;
    days.push_back({static_cast<std::uint64_t>(select->number(0)), select->text(1), select->text(2),
                    static_cast<std::uint64_t>(select->number(3)), select->number(4)});
  }
}

Result<Nano> UsageDays::charged(const std::string& account, const std::string& currency) {
  const auto held = database_.lock();
  const auto select = database_.prepare(
      "SELECT COALESCE(SUM(charge), 0) FROM usage_days WHERE account = ? AND currency = ?");
  const auto row = select->bind(account).bind(currency).step();
  if (!row) return row.error();
  return select->number(0);
}

}  // namespace switchyard::store
