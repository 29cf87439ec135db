#include "core/store/limit_counts.hpp"

#include "core/store/rows.hpp"

namespace switchyard::store {
namespace {

LimitCountRow count_of(const Statement& row) {
  return {row.text(0), row.number(1), row.number(2), row.number(3), row.number(4)};
}

}  // namespace

Result<std::vector<LimitCountRow>> LimitCounts::find(const std::string& subject) {
  const auto held = database_.lock();
  const auto select = database_.prepare(
      "SELECT subject, which, start_unix_s, requests, tokens FROM limit_counts WHERE subject = ?");
  select->bind(subject);
  return all_rows(*select, count_of);
}

Result<void> LimitCounts::save(const std::vector<LimitCountRow>& rows) {
  return database_.transact([&]() -> Result<void> {
    const auto insert = database_.prepare(
        "INSERT INTO limit_counts (subject, which, start_unix_s, requests, tokens) "
        "VALUES (?, ?, ?, ?, ?) ON CONFLICT (subject, which) DO UPDATE SET "
        "start_unix_s = excluded.start_unix_s, requests = excluded.requests, "
        "tokens = excluded.tokens");
    for (const LimitCountRow& row : rows) {
      insert->reset();
      insert->bind(row.subject).bind(row.which).bind(row.start_unix_s);
      const auto done = insert->bind(row.requests).bind(row.tokens).run();
      if (!done) return done;
    }
    return {};
  });
}

Result<void> LimitCounts::forget_before(std::int64_t start_unix_s) {
  const auto held = database_.lock();
  const auto remove = database_.prepare("DELETE FROM limit_counts WHERE start_unix_s < ?");
  return remove->bind(start_unix_s).run();
}

}  // namespace switchyard::store
